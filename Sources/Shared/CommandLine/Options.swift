/// Command-line options, declared once as typed properties.
///
/// ```swift
/// struct TrainOptions: Options {
///     static let summary = "Trains a draft."
///     @Option("Directory of the sample stores.", value: "DIR") var cacheDir: String
///     @Option("Peak learning rate.") var learningRate: Float = 1e-4
///     @Flag("Continue from the latest checkpoint.") var resume
///     var logging = LoggingOptions()
/// }
/// let options = try TrainOptions.parse(arguments)
/// ```
///
/// A property's name gives the option's name (`learningRate` is `--learning-rate`), its default is the default
/// that `--help` shows, and a property without one is required. A property that is itself `Options` is a group.
public protocol Options: Sendable {
    /// What the command does, in a sentence.
    static var summary: String { get }
    init()
    /// Checks rules between options, before any work is done.
    /// - Throws: `OptionsError.rule` with a sentence that says what would be right.
    func validate() throws(OptionsError)
}

extension Options {
    public static var summary: String { "" }
    public func validate() throws(OptionsError) {}

    /// Reads the options from `arguments`, which leave out the program's and the command's name.
    ///
    /// `--name value` and `--name=value` mean the same. An option whose type is an array takes every value up to the
    /// next option, and may be given again.
    /// - Throws: `OptionsError`, which says which argument can't be read and what would be right.
    public static func parse(_ arguments: some Sequence<String>) throws(OptionsError) -> Self {
        let options = Self()
        let declared = declarations(of: options)
        var remaining = Array(arguments)[...]
        while let argument = remaining.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0]
            guard name.hasPrefix("--") else {
                guard let slot = declared.first(where: { $0.slot.isPositional })?.slot else {
                    throw .unexpectedArgument(argument)
                }
                guard slot.read(argument) else {
                    throw .invalidValue(argument, for: slot.expected, expected: slot.expected)
                }
                continue
            }
            guard let slot = declared.first(where: { $0.name == name })?.slot else {
                throw .unknownOption(name, nearest: nearest(to: name, among: declared.map(\.name)))
            }
            guard slot.takesValue else {
                guard parts.count == 1 else { throw .invalidValue(parts[1], for: name, expected: "no value") }
                _ = slot.read("true")
                continue
            }
            var values = Array(parts.dropFirst())
            if values.isEmpty {
                while let next = remaining.first, !next.hasPrefix("--"), values.isEmpty || slot.takesMany {
                    values.append(next)
                    remaining = remaining.dropFirst()
                }
            }
            guard !values.isEmpty else { throw .missingValue(name, expected: slot.expected) }
            for value in values {
                guard slot.read(value) else { throw .invalidValue(value, for: name, expected: slot.expected) }
            }
        }
        if let missing = declared.first(where: { $0.slot.isMissing }) { throw .missingOption(missing.name) }
        try options.validate()
        return options
    }

    /// Every option and its value, for the log and the checkpoint.
    public var described: [(name: String, value: String)] {
        declarations(of: self).map { ($0.name, $0.slot.valueDescription) }
    }

    /// The options, their defaults and what they mean, a line or two each.
    public static var help: String {
        declarations(of: Self()).map { name, slot in
            let option = slot.takesValue ? "\(name) \(slot.expected)" : name
            let head = slot.isPositional ? "\(slot.expected), \(option)" : option
            let note = slot.note.isEmpty ? "" : " (\(slot.note))"
            return "  \(head)\n      \(slot.help)\(note)"
        }.joined(separator: "\n")
    }
}

/// An option that takes a value.
@propertyWrapper
public struct Option<Value: OptionValue>: Sendable {
    fileprivate let slot: Slot<Value>

    public var wrappedValue: Value {
        guard let value = slot.value else { preconditionFailure("an option was read before it was parsed") }
        return value
    }

    /// A required option, or an optional one if its type is.
    ///
    /// - Parameter isPositional: Whether values without an option's name before them are its own too.
    public init(_ help: String, value: String? = nil, isPositional: Bool = false) {
        slot = Slot(help: help, expected: value, value: Value.absent as? Value, isPositional: isPositional)
    }

    /// An option with a default.
    public init(wrappedValue: Value, _ help: String, value: String? = nil) {
        slot = Slot(help: help, expected: value, value: wrappedValue)
    }
}

/// An option that takes no value and is false unless given.
@propertyWrapper
public struct Flag: Sendable {
    fileprivate let slot: Slot<Bool>

    public var wrappedValue: Bool { slot.value ?? false }

    public init(_ help: String) { slot = Slot(help: help, expected: nil, value: false) }
}

/// Why a command line can't be read.
public enum OptionsError: Error, Equatable, CustomStringConvertible {
    case unknownOption(String, nearest: String?)
    case unknownCommand(String, nearest: String?)
    case unexpectedArgument(String)
    case missingValue(String, expected: String)
    case invalidValue(String, for: String, expected: String)
    case missingOption(String)
    case rule(String)

    public var description: String {
        switch self {
        case .unknownOption(let name, let nearest):
            "unknown option '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "; see --help")"
        case .unknownCommand(let name, let nearest):
            "unknown command '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "; see --help")"
        case .unexpectedArgument(let argument): "unexpected argument '\(argument)'; options begin with --"
        case .missingValue(let name, let expected): "option '\(name)' needs a value: \(expected)"
        case .invalidValue(let value, let name, let expected):
            "'\(value)' is not a value for '\(name)', which takes \(expected)"
        case .missingOption(let name): "option '\(name)' is required"
        case .rule(let sentence): sentence
        }
    }
}

// MARK: - Declarations

/// Where a declared option keeps its value: written while parsing, read-only after.
private final class Slot<Value: Sendable>: AnySlot, @unchecked Sendable {
    let help: String
    let expectedName: String?
    var value: Value?
    let isPositional: Bool
    private let hasDefault: Bool
    private var isFirstValue = true

    init(help: String, expected: String?, value: Value?, isPositional: Bool = false) {
        self.help = help
        self.isPositional = isPositional
        expectedName = expected
        self.value = value
        hasDefault = value != nil
    }

    private var type: (any OptionValue.Type)? { Value.self as? any OptionValue.Type }
    var takesValue: Bool { Value.self != Bool.self }
    var takesMany: Bool { type?.takesMany ?? false }
    var isMissing: Bool { value == nil }
    var expected: String { expectedName ?? type?.expected ?? "" }
    var valueDescription: String { value.map { ($0 as? any OptionValue)?.shown ?? "\($0)" } ?? "" }

    var note: String {
        if !takesValue { return "" }
        if !hasDefault { return "required" }
        return valueDescription.isEmpty ? "" : "default \(valueDescription)"
    }

    func read(_ argument: String) -> Bool {
        guard let type else {
            value = true as? Value
            return value != nil
        }
        guard let read = type.init(argument: argument) as? Value else { return false }
        if takesMany, !isFirstValue, let joined = (value as? any OptionValue)?.joined(with: argument) as? Value {
            value = joined
        } else {
            value = read
        }
        isFirstValue = false
        return true
    }
}

private protocol AnySlot {
    var help: String { get }
    var note: String { get }
    var expected: String { get }
    var takesValue: Bool { get }
    var takesMany: Bool { get }
    var isMissing: Bool { get }
    var isPositional: Bool { get }
    var valueDescription: String { get }
    func read(_ argument: String) -> Bool
}

private protocol Declaration { var anySlot: any AnySlot { get } }
extension Option: Declaration { fileprivate var anySlot: any AnySlot { slot } }
extension Flag: Declaration { fileprivate var anySlot: any AnySlot { slot } }

private func declarations(of options: Any) -> [(name: String, slot: any AnySlot)] {
    Mirror(reflecting: options).children.flatMap { child -> [(name: String, slot: any AnySlot)] in
        switch child.value {
        case let declaration as any Declaration: [(optionName(child.label ?? ""), declaration.anySlot)]
        case let group as any Options: declarations(of: group)
        default: []
        }
    }
}

/// `_learningRate` is `--learning-rate`.
private func optionName(_ label: String) -> String {
    label.drop(while: { $0 == "_" }).reduce(into: "--") { name, letter in
        if letter.isUppercase { name += "-" }
        name += letter.lowercased()
    }
}

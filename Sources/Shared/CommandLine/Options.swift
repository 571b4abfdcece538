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
/// that `--help` shows, and a property without one is required. A property that is itself `Options` is a group, and an array of
/// them several.
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
    /// next option, and may be given again. A value that begins with `--` is written after `=`.
    /// - Throws: `OptionsError`, which says which argument can't be read and what would be right; `.help` where help is
    ///   asked for.
    public static func parse(_ arguments: some Sequence<String>) throws(OptionsError) -> Self {
        let options = Self()
        let declared = declarations(of: options)
        var remaining = Array(arguments)[...]
        // Help is had beside whatever else is wrong. `-h` may also be a value, and is looked for where none can stand.
        if remaining.contains("--help") { throw .help }
        while let argument = remaining.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0]
            guard name.hasPrefix("--") else {
                if argument == "-h" { throw .help }
                guard let slot = declared.first(where: { $0.slot.isPositional })?.slot else {
                    throw .unexpectedArgument(argument)
                }
                try slot.read(argument, for: slot.expected)
                continue
            }
            guard let slot = declared.first(where: { $0.name == name || $0.slot.alias == name })?.slot else {
                throw .unknownOption(name, nearest: nearest(to: name, among: declared.map(\.name)))
            }
            guard slot.takesValue else {
                guard parts.count == 1 else { throw .invalidValue(parts[1], for: name, expected: "no value") }
                try slot.read("true", for: name)
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
            for value in values { try slot.read(value, for: name) }
        }
        if let missing = declared.first(where: { $0.slot.isMissing }) { throw .missingOption(missing.name) }
        try options.validate()
        return options
    }

    /// Every option and its value, for the log and the checkpoint.
    public var described: [(name: String, value: String)] {
        declarations(of: self).map { ($0.name, $0.slot.valueDescription) }
    }

    /// The names of the options that the command line gives, whatever their values.
    public var typed: [String] { declarations(of: self).filter(\.slot.isGiven).map(\.name) }

    /// Gives options that the command line leaves out other values than their defaults.
    ///
    /// - Parameter settings: Of one value each; those of options that there aren't are left out.
    /// - Returns: Those that count now.
    public func fill(_ settings: [OptionSetting]) throws(OptionsError) -> [OptionSetting] {
        var filled: [OptionSetting] = []
        for (name, slot) in declarations(of: self) where !slot.isGiven {
            guard let setting = settings.first(where: { $0.name == name }) else { continue }
            for value in setting.values ?? ["true"] { try slot.fill(value, for: name) }
            filled.append(setting)
        }
        return filled
    }

    /// Every option's name, and its value if it has one.
    var declaredSettings: [(name: String, setting: OptionSetting?)] {
        declarations(of: self).map { name, slot in
            (name, slot.words.map { OptionSetting(name: name, values: slot.takesValue ? $0 : nil) })
        }
    }

    /// What is declared: each option's name, and of those that take values what they are.
    static var declared: [OptionDeclaration] {
        declarations(of: Self()).map { name, slot in
            OptionDeclaration(
                name: name, takesValue: slot.takesValue, isRequired: slot.isMissing, isNumeric: slot.isNumeric,
                range: slot.rangeInWords)
        }
    }

    /// The options, their defaults and what they mean, a line or two each.
    public static var help: String {
        declarations(of: Self()).map { name, slot in
            let option = slot.takesValue ? "\(name) \(slot.expected)" : name
            let head = slot.isPositional ? "\(slot.expected), \(option)" : option
            let notes = slot.notes.isEmpty ? "" : " (\(slot.notes.joined(separator: ", ")))"
            return "  \(head)\n      \(slot.help)\(notes)"
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

    /// Puts what a value stands for in its place, as files for a pattern.
    public func replace(with value: Value) { slot.value = value }

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

extension Option where Value: NumericOptionValue {
    /// A required option of numbers within a range, or an optional one if its type is.
    public init(_ help: String, value: String? = nil, in range: some OptionRange<Value.Number>) {
        slot = Slot(help: help, expected: value, value: Value.absent as? Value, range: NumberRange(range))
    }

    /// An option of numbers within a range, with a default.
    ///
    /// - Parameter alias: Another name that it is understood by, as other trainers call it.
    public init(
        wrappedValue: Value, _ help: String, value: String? = nil, alias: String? = nil,
        in range: some OptionRange<Value.Number>
    ) {
        precondition(wrappedValue.numbers.allSatisfy(range.contains), "a default is outside of its option's range")
        slot = Slot(help: help, expected: value, value: wrappedValue, range: NumberRange(range), alias: alias)
    }
}

/// An option that takes no value and is false unless given.
@propertyWrapper
public struct Flag: Sendable {
    fileprivate let slot: Slot<Bool>

    public var wrappedValue: Bool { slot.value ?? false }

    public init(_ help: String) { slot = Slot(help: help, expected: nil, value: false) }
}

/// What an option is declared as.
public struct OptionDeclaration: Sendable {
    public let name: String
    public let takesValue: Bool
    public let isRequired: Bool
    public let isNumeric: Bool
    /// The range of its numbers in words; nil if it has none.
    public let range: String?
}

/// Why a command line can't be read.
public enum OptionsError: Error, Equatable, CustomStringConvertible {
    /// The command's help is asked for, which is no mistake.
    case help
    case unknownOption(String, nearest: String?)
    case unknownCommand(String, nearest: String?)
    case unexpectedArgument(String)
    case missingValue(String, expected: String)
    case invalidValue(String, for: String, expected: String)
    case outOfRange(String, for: String, range: String)
    case missingOption(String)
    case rule(String)

    public var description: String {
        switch self {
        case .help: "see --help"
        case .unknownOption(let name, let nearest):
            "unknown option '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "; see --help")"
        case .unknownCommand(let name, let nearest):
            "unknown command '\(name)'\(nearest.map { "; did you mean '\($0)'?" } ?? "; see --help")"
        case .unexpectedArgument(let argument): "unexpected argument '\(argument)'; options begin with --"
        case .missingValue(let name, let expected): "option '\(name)' needs a value: \(expected)"
        case .invalidValue(let value, let name, let expected):
            "'\(value)' is not a value for '\(name)', which takes \(expected)"
        case .outOfRange(let value, let name, let range): "\(name) is \(value), should be \(range)"
        case .missingOption(let name): "option '\(name)' is required"
        case .rule(let sentence): sentence
        }
    }
}

// MARK: - Declarations

/// Where a declared option keeps its value: written while parsing and by `fill`, before the work, and read-only after.
private final class Slot<Value: Sendable>: AnySlot, @unchecked Sendable {
    let help: String
    let expectedName: String?
    var value: Value?
    let isPositional: Bool
    let alias: String?
    private let range: NumberRange<Value>?
    private let hasDefault: Bool
    private(set) var isGiven = false

    init(
        help: String, expected: String?, value: Value?, isPositional: Bool = false, range: NumberRange<Value>? = nil,
        alias: String? = nil
    ) {
        self.help = help
        self.alias = alias
        self.isPositional = isPositional
        self.range = range
        expectedName = expected
        self.value = value
        hasDefault = value != nil
    }

    private var type: (any OptionValue.Type)? { Value.self as? any OptionValue.Type }
    var takesValue: Bool { Value.self != Bool.self }
    var takesMany: Bool { type?.takesMany ?? false }
    var isMissing: Bool { value == nil }
    var isNumeric: Bool { Value.self is any NumericOptionValue.Type }
    var expected: String { expectedName ?? type?.expected ?? "" }
    var rangeInWords: String? { range?.words }

    var words: [String]? {
        guard let value else { return nil }
        if let isOn = value as? Bool { return isOn ? [] : nil }
        let words = (value as? any OptionValue)?.words ?? []
        return words.isEmpty ? nil : words
    }

    var valueDescription: String { value.map { ($0 as? any OptionValue)?.shown ?? "\($0)" } ?? "" }

    var notes: [String] {
        if !takesValue { return [] }
        let shownDefault = hasDefault ? "default \(valueDescription)" : "required"
        let notes = [range?.words, hasDefault && valueDescription.isEmpty ? nil : shownDefault]
        return (notes + [alias.map { "also \($0)" }]).compactMap(\.self)
    }

    func read(_ argument: String, for name: String) throws(OptionsError) {
        defer { isGiven = true }
        try fill(argument, for: name)
    }

    func fill(_ argument: String, for name: String) throws(OptionsError) {
        guard let type else { return value = true as? Value }
        // First what was read, then its type: an optional's nil is a value of its type.
        guard let made = type.init(argument: argument), let read = made as? Value else {
            let expected = [expected, range?.words].compactMap(\.self).joined(separator: ", ")
            throw .invalidValue(argument, for: name, expected: expected)
        }
        if let range, !range.contains(read) { throw .outOfRange(argument, for: name, range: range.words) }
        if takesMany, isGiven, let joined = (value as? any OptionValue)?.joined(with: argument) as? Value {
            value = joined
        } else {
            value = read
        }
    }
}

/// The range of an option's numbers, whatever the range's type.
private struct NumberRange<Value>: Sendable {
    let words: String
    let contains: @Sendable (Value) -> Bool
}

extension NumberRange where Value: NumericOptionValue {
    init(_ range: some OptionRange<Value.Number>) {
        words = range.words
        contains = { $0.numbers.allSatisfy(range.contains) }
    }
}

private protocol AnySlot {
    var help: String { get }
    /// What help says in brackets.
    var notes: [String] { get }
    var expected: String { get }
    var isNumeric: Bool { get }
    var rangeInWords: String? { get }
    /// The value as words, nil if there is none; of a switch that is on, none.
    var words: [String]? { get }
    var takesValue: Bool { get }
    var takesMany: Bool { get }
    var isMissing: Bool { get }
    var isPositional: Bool { get }
    /// Another name that it is understood by.
    var alias: String? { get }
    var valueDescription: String { get }
    /// Whether the command line gives it.
    var isGiven: Bool { get }
    func read(_ argument: String, for name: String) throws(OptionsError)
    /// Puts a value in the place of the default.
    func fill(_ argument: String, for name: String) throws(OptionsError)
}

private protocol Declaration { var anySlot: any AnySlot { get } }
extension Option: Declaration { fileprivate var anySlot: any AnySlot { slot } }
extension Flag: Declaration { fileprivate var anySlot: any AnySlot { slot } }

private func declarations(of options: Any) -> [(name: String, slot: any AnySlot)] {
    Mirror(reflecting: options).children.flatMap { child -> [(name: String, slot: any AnySlot)] in
        switch child.value {
        case let declaration as any Declaration: [(optionName(child.label ?? ""), declaration.anySlot)]
        case let group as any Options: declarations(of: group)
        case let groups as [any Options]: groups.flatMap { declarations(of: $0) }
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

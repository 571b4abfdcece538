/// A value that can be read from one command-line argument.
public protocol OptionValue: Sendable {
    /// The value that `argument` spells, or nil if it spells none.
    init?(argument: String)
    /// What is expected, for help and errors: `INT`, `DIR`, `float32|bfloat16`.
    static var expected: String { get }
    /// Whether one option takes many values.
    static var takesMany: Bool { get }
    /// The value of an option that isn't given and has no default; nil makes such an option required.
    static var absent: (any OptionValue)? { get }
    /// The value with `argument` added to it, for a type that takes many values.
    func joined(with argument: String) -> (any OptionValue)?
    /// The value as a user would write it; empty for none.
    var shown: String { get }
    /// The value as words of a command line, several for a type that takes many; empty for none.
    var words: [String] { get }
}

extension OptionValue {
    public static var takesMany: Bool { false }
    public static var absent: (any OptionValue)? { nil }
    public func joined(with argument: String) -> (any OptionValue)? { nil }
    public var shown: String { "\(self)" }
    public var words: [String] { [shown] }
}

extension String: OptionValue {
    public init?(argument: String) { self = argument }
    public static var expected: String { "TEXT" }
}

extension Int: OptionValue {
    public init?(argument: String) { self.init(argument) }
    public static var expected: String { "INT" }
}

extension Float: OptionValue {
    public init?(argument: String) {
        guard let value = Float(argument), value.isFinite else { return nil }
        self = value
    }
    public static var expected: String { "NUMBER" }
}

extension Optional: OptionValue where Wrapped: OptionValue {
    public init?(argument: String) {
        guard let value = Wrapped(argument: argument) else { return nil }
        self = value
    }
    public static var expected: String { Wrapped.expected }
    public static var absent: (any OptionValue)? { Wrapped?.none }
    public var shown: String { self?.shown ?? "" }
    public var words: [String] { self?.words ?? [] }
}

extension Array: OptionValue where Element: OptionValue {
    public init?(argument: String) {
        guard let value = Element(argument: argument) else { return nil }
        self = [value]
    }
    public static var expected: String { "\(Element.expected)..." }
    public static var takesMany: Bool { true }
    public func joined(with argument: String) -> (any OptionValue)? {
        Element(argument: argument).map { self + [$0] }
    }
    public var shown: String { map(\.shown).joined(separator: " ") }
    public var words: [String] { flatMap(\.words) }
}

extension OptionValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    public init?(argument: String) { self.init(rawValue: argument) }
    public static var expected: String { allCases.map(\.rawValue).joined(separator: "|") }
    public var shown: String { rawValue }
}

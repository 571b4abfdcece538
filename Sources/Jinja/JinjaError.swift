/// Why a template can't be parsed or rendered, and where.
public struct JinjaError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// The template isn't Jinja, or uses a part of it that isn't supported.
        case syntax
        /// Something that isn't there is used.
        case undefined
        /// A value of a wrong type, as in adding a number to a string.
        case type
        /// A value that makes no sense, as dividing by zero, or an integer of more than 64 bits.
        case value
        /// A method that would change a list or a dictionary.
        case unsafe
        /// Another mistake that is found only when the template is rendered.
        case runtime
        /// The template refused by `raise_exception`.
        case raised
        /// A bound of `Limits` was reached.
        case limit
    }

    public var kind: Kind
    /// The template's name.
    public var template: String
    /// From 1.
    public var line: Int
    /// In code points, from 1.
    public var column: Int
    public var message: String

    public var description: String { "\(template):\(line):\(column): \(message)" }
}

/// A `JinjaError` whose position isn't known yet.
struct Failure: Error {
    let kind: JinjaError.Kind
    let message: String
    /// Byte of the template's source; nil where only the node that is evaluated knows.
    let position: Int?

    init(kind: JinjaError.Kind, _ message: String, at position: Int? = nil) {
        self.kind = kind
        self.message = message
        self.position = position
    }

    static func syntax(_ message: String, at position: Int) -> Failure {
        Failure(kind: .syntax, message, at: position)
    }

    static func type(_ message: String) -> Failure { Failure(kind: .type, message) }
    static func value(_ message: String) -> Failure { Failure(kind: .value, message) }
    static func runtime(_ message: String) -> Failure { Failure(kind: .runtime, message) }
    static let largeInteger = Failure.value("the integer has more than 64 bits")
}

/// Why a template can't be parsed or rendered, and where.
public struct JinjaError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// The template isn't Jinja, or uses a part of it that isn't supported.
        case syntax
        /// What the template computes makes no sense, as adding a number to a string.
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

/// A `JinjaError` whose place isn't known yet.
struct Failure: Error {
    var kind = JinjaError.Kind.runtime
    var message: String
    /// Byte of the template's source; nil where only the node that is evaluated knows.
    var position: Int?

    init(_ message: String) { self.message = message }

    init(kind: JinjaError.Kind, _ message: String, at position: Int? = nil) {
        self.kind = kind
        self.message = message
        self.position = position
    }

    static func syntax(_ message: String, at position: Int) -> Failure {
        Failure(kind: .syntax, message, at: position)
    }
}

/// Bounds of one rendering, so that no template and no data can hang or exhaust a program.
public struct Limits: Sendable {
    /// Statements, iterations and calls; every 64 bytes of text that is made count as one more.
    public var steps: Int
    /// Calls of macros and recursive loops within each other.
    public var depth: Int
    /// Bytes of the output, and of any one string.
    public var bytes: Int

    public init(steps: Int = 50_000_000, depth: Int = 200, bytes: Int = 256 << 20) {
        self.steps = steps
        self.depth = depth
        self.bytes = bytes
    }
}

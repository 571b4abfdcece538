/// A token that begins or ends texts or turns.
public struct SpecialToken: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// Begins a text.
        case bos
        /// Ends a text, by the tokenizer's or the model's configuration.
        case eos
        /// Ends a turn of the assistant's, by the chat template.
        case endOfTurn = "end_of_turn"
    }

    public let kind: Kind
    /// The token's text.
    public let name: String
    public let id: Int32

    public init(_ kind: Kind, _ name: String, id: Int32) {
        self.kind = kind
        self.name = name
        self.id = id
    }

    /// Whether generation ends with it.
    public var isEnd: Bool { kind != .bos }
}

extension Sequence<SpecialToken> {
    /// The ids of tokens that end a text or a turn.
    public var ends: Set<Int32> { Set(filter(\.isEnd).map(\.id)) }
}

// MARK: - In the manifest

extension SpecialToken {
    var json: JSONText {
        .object([("kind", .string(kind.rawValue)), ("name", .string(name)), ("id", .int(Int(id)))])
    }

    init(_ node: JSONNode, vocabSize: Int) throws(JSONError) {
        guard let kind = Kind(rawValue: try node.string("kind")) else {
            let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw try node.required("kind").error("should be one of \(kinds)")
        }
        guard let id = Int32(exactly: try node.int("id")), 0..<vocabSize ~= Int(id) else {
            throw try node.required("id").error("should be a token's id, below \(vocabSize)")
        }
        self.init(kind, try node.string("name"), id: id)
    }
}

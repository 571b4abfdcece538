import Shared

/// How tokens become text again: `decoder` of tokenizer.json.
enum Decoder: Sendable {
    /// Characters of GPT-2's alphabet become bytes. Other tokens, added ones among them, are text as they are.
    case byteLevel

    static let supported = ["ByteLevel"]

    init(_ node: JSONNode) throws(JSONError) {
        guard try node.string("type") == "ByteLevel" else {
            throw try node.unsupportedType(supported: Self.supported)
        }
        self = .byteLevel
    }

    /// The bytes that a token's text stands for.
    func bytes(of content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        return content.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &bytes) } ? bytes : content
    }
}

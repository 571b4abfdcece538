import Shared

/// What makes tokens of words: `model` of tokenizer.json.
enum TokenModel: Sendable {
    case bytePairEncoding(BytePairEncoding)
    case unigram(Unigram)

    static let supported = ["BPE", "Unigram"]

    /// - Parameter isByteLevel: Whether words are bytes, written in GPT-2's alphabet in the file.
    init(_ node: JSONNode, isByteLevel: Bool) throws(JSONError) {
        // Old files leave the type out.
        switch node["type"] == nil ? "BPE" : try node.string("type") {
        case "BPE": self = .bytePairEncoding(try BytePairEncoding(node, isByteLevel: isByteLevel))
        case "Unigram":
            guard !isByteLevel else {
                throw try node.required("type").error("'Unigram' is not supported after the pre-tokenizer ByteLevel")
            }
            self = .unigram(try Unigram(node))
        default: throw try node.unsupportedType(supported: Self.supported)
        }
    }

    var vocabulary: Vocabulary {
        switch self {
        case .bytePairEncoding(let model): model.vocabulary
        case .unigram(let model): model.vocabulary
        }
    }

    /// How many bytes of a word each token stands for.
    var lengths: [Int32] {
        switch self {
        case .bytePairEncoding(let model): model.lengths
        case .unigram(let model): model.vocabulary.lengths
        }
    }

    /// Where a text without a pre-tokenizer may be cut into words all the same.
    var wordBoundary: MetaspaceBoundary? {
        switch self {
        case .bytePairEncoding(let model): model.wordBoundary
        case .unigram: nil
        }
    }

    /// A new encoder of words, for one worker.
    func makeWordEncoder() -> any WordEncoder {
        switch self {
        case .bytePairEncoding(let model): WordMerger(model)
        case .unigram(let model): UnigramLattice(model)
        }
    }
}

/// Encodes words by a model.
///
/// Owns the scratch for it; one thread's.
protocol WordEncoder: AnyObject {
    /// Leaves a word's tokens in `tokens`.
    func encode(_ word: UnsafeBufferPointer<UInt8>)
    var tokens: [Int32] { get }
    /// Where the bytes of each token stand in the word; nil where the tokens follow each other by their own lengths.
    var ranges: [Range<Int32>]? { get }
}

/// The byte tokens of a vocabulary, `<0x00>` to `<0xFF>`: what a character without a token becomes.
struct ByteFallback: Sendable {
    /// The token of each byte, -1 where there is none.
    let tokens: [Int32]

    /// - Throws: `JSONError` where only some bytes that UTF-8 can contain have a token.
    init?(_ node: JSONNode, _ vocabulary: Vocabulary) throws(JSONError) {
        guard try node.bool("byte_fallback", default: false) else { return nil }
        tokens = (0..<256).map { byte in
            let hex = String(byte, radix: 16, uppercase: true)
            return vocabulary.id(of: Array("<0x\(byte < 16 ? "0" : "")\(hex)>".utf8)) ?? -1
        }
        let isMissing = tokens.map { $0 < 0 }
        if isMissing.allSatisfy({ $0 }) { return nil }
        let missing = (UInt8.min...UInt8.max).filter { isMissing[Int($0)] && $0.canBeOfUTF8 }
        guard missing.isEmpty else {
            throw try node.unsupported(
                "byte_fallback", "true with \(missing.count) bytes without a token", supported: "a token for each byte")
        }
    }
}

extension UInt8 {
    /// Whether UTF-8 can contain the byte.
    var canBeOfUTF8: Bool { !(0xC0...0xC1).contains(self) && self < 0xF5 }
}

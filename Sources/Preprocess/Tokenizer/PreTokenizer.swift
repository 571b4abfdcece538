import Shared

/// How text is split into words, which the model encodes each by itself: `pre_tokenizer` of tokenizer.json.
///
/// One case a way of working; it is in a file of its own.
enum PreTokenizer: Sendable {
    case split(SplitRule)
    case metaspace(Metaspace)
    case byteLevel(ByteLevel)

    static let supported = [
        "ByteLevel", "Metaspace", "Split", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit",
        "CharDelimiterSplit", "BertPreTokenizer", "Sequence",
    ]

    /// Writes the bytes of words in GPT-2's alphabet, and splits by GPT-2's pattern if `use_regex` is set.
    struct ByteLevel: Sendable {
        let addsPrefixSpace: Bool
        let usesPattern: Bool

        init(_ node: JSONNode) throws(JSONError) {
            addsPrefixSpace = try node.bool("add_prefix_space", default: true)
            usesPattern = try node.bool("use_regex", default: true)
        }

        /// Writes pieces with a space before each that doesn't begin with one.
        func rewrite(_ text: AlignedView, _ pieces: [Range<Int>], into result: AlignedText) -> [Range<Int>] {
            pieces.map { piece in
                let start = result.count
                if text.start[piece.lowerBound] != UInt8(ascii: " ") {
                    result.append([UInt8(ascii: " ")], origin: text.origin(piece.lowerBound))
                }
                result.append(text, piece)
                return start..<result.count
            }
        }
    }

    /// The steps in order, sequences laid out flat.
    static func load(_ node: JSONNode) throws(JSONError) -> [PreTokenizer] {
        switch try node.string("type") {
        case "Split": return [.split(try SplitRule(node))]
        case "Digits":
            let isIndividual = try node.bool("individual_digits", default: false)
            return [scalars(.number, isIndividual ? .isolated : .contiguous)]
        case "Punctuation":
            return [scalars(.punctuation, try SplitRule.Behavior(node, default: .isolated))]
        case "WhitespaceSplit": return [scalars(.whitespace, .removed)]
        case "Whitespace": return [scalars(.whitespace, .removed), scalars(.word, .contiguous)]
        case "BertPreTokenizer": return [scalars(.whitespace, .removed), scalars(.punctuation, .isolated)]
        case "CharDelimiterSplit":
            let delimiter = try node.string("delimiter")
            guard let scalar = delimiter.unicodeScalars.first, delimiter.unicodeScalars.count == 1 else {
                throw try node.required("delimiter").error("is '\(delimiter)', should be one character")
            }
            return [scalars(.scalar(scalar), .removed)]
        case "Metaspace": return [.metaspace(try Metaspace(node))]
        case "ByteLevel": return [.byteLevel(try ByteLevel(node))]
        case "Sequence":
            var steps: [PreTokenizer] = []
            for step in try node.required("pretokenizers").elements { steps += try load(step) }
            return try node.bounded(steps)
        default: throw try node.unsupportedType(supported: supported)
        }
    }

    private static func scalars(_ kind: ScalarKind, _ behavior: SplitRule.Behavior) -> PreTokenizer {
        .split(SplitRule(.scalars(kind), behavior))
    }
}

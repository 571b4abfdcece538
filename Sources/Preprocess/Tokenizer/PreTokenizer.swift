import Shared

/// How text is split into words, which the model encodes each by itself: `pre_tokenizer` of tokenizer.json.
///
/// One case a kind; a kind's work is in a file of its own.
enum PreTokenizer: Sendable {
    case digits(individual: Bool)
    case split(SplitRule)
    case byteLevel(ByteLevel)

    static let supported = ["ByteLevel", "Digits", "Split", "Sequence"]

    /// Writes the bytes of words in GPT-2's alphabet, and splits by GPT-2's pattern if told so.
    struct ByteLevel: Sendable {
        let addsPrefixSpace: Bool
        let usesPattern: Bool
    }

    /// The steps in order, sequences laid out flat.
    static func load(_ node: JSONNode) throws(JSONError) -> [PreTokenizer] {
        switch try node.string("type") {
        case "Digits": return [.digits(individual: try node.bool("individual_digits", default: false))]
        case "Split": return [.split(try SplitRule(node))]
        case "ByteLevel":
            return [
                .byteLevel(
                    ByteLevel(
                        addsPrefixSpace: try node.bool("add_prefix_space", default: true),
                        usesPattern: try node.bool("use_regex", default: true)))
            ]
        case "Sequence":
            var steps: [PreTokenizer] = []
            for step in try node.required("pretokenizers").elements { steps += try load(step) }
            return steps
        default: throw try node.unsupportedType(supported: supported)
        }
    }
}

/// The whole of splitting, in the fastest form that gives the tokenizer's words.
///
/// A well-known pattern is found by a scanner. Anything else goes step by step, each splitting the pieces of the one
/// before.
struct WordSplitter: Sendable {
    enum Method: Sendable {
        case gpt2(GPT2Scanner)
        case cl100k(CL100KScanner)
        case o200k(O200KScanner)
        case steps([PreTokenizer])
    }

    let method: Method
    /// Whether a piece that doesn't begin with a space gets one; only `steps` do it.
    let addsPrefixSpace: Bool

    /// - Throws: `JSONError` where the steps don't end in the one ByteLevel that a byte-level vocabulary needs.
    init(_ node: JSONNode) throws(JSONError) {
        let steps = try PreTokenizer.load(node)
        guard case .byteLevel(let byteLevel)? = steps.last else {
            throw node.error("doesn't end in ByteLevel, without which no vocabulary is supported yet")
        }
        let before = steps.dropLast()
        for case .byteLevel in before {
            throw node.error("has a step behind ByteLevel, which is not supported")
        }
        addsPrefixSpace = byteLevel.addsPrefixSpace
        method = Self.scanner(before, byteLevel) ?? .steps(steps)
    }

    /// The scanner that does all of the steps at once, if there is one.
    private static func scanner(_ before: ArraySlice<PreTokenizer>, _ byteLevel: PreTokenizer.ByteLevel) -> Method? {
        guard before.count <= 1, !byteLevel.addsPrefixSpace else { return nil }
        switch (before.first, byteLevel.usesPattern) {
        case (nil, true): return .gpt2(GPT2Scanner(digits: .none))
        case (.digits(let individual), true):
            return .gpt2(GPT2Scanner(digits: individual ? .individual : .contiguous))
        case (.split(let rule), let usesPattern):
            // The pattern matches everything, so that keeping the matches and keeping all is the same.
            guard rule.keepsMatches, let pattern = rule.regularExpression else { return nil }
            if pattern == GPT2Scanner.pattern { return .gpt2(GPT2Scanner(digits: .none)) }
            guard !usesPattern else { return nil }
            if let scanner = CL100KScanner(pattern: pattern) { return .cl100k(scanner) }
            return O200KScanner(pattern: pattern).map(Method.o200k)
        default: return nil
        }
    }
}

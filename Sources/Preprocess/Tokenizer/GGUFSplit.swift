import Shared

/// How llama.cpp splits text into words before byte-level BPE: what a name in `tokenizer.ggml.pre` stands for.
struct GGUFSplit: Sendable {
    /// A step of `pre_tokenizer`.
    private enum Step {
        /// Every match is a word of its own.
        case pattern(String)
        /// Each digit is one.
        case digits
    }

    private let steps: [Step]
    /// Whether GPT-2's pattern, which ByteLevel has built in, is the last step.
    private let endsWithGPT2: Bool
    /// Whether a word that is a token stays whole, however merges would make it.
    let ignoresMerges: Bool

    private init(_ steps: [Step] = [], endsWithGPT2: Bool = false, ignoresMerges: Bool = false) {
        (self.steps, self.endsWithGPT2, self.ignoresMerges) = (steps, endsWithGPT2, ignoresMerges)
    }

    /// What a file without a name has, to llama.cpp.
    static let unnamed = "default"

    static func named(_ name: String) -> GGUFSplit? { table.first { $0.names.contains(name) }?.split }

    static let names = table.flatMap(\.names)

    private static let table: [(names: [String], split: GGUFSplit)] = [
        (
            ["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0", "lfm2"],
            GGUFSplit([.pattern(cl100k(digits: #"\p{N}{1,3}"#))], ignoresMerges: true)
        ),
        (
            ["smaug-bpe", "dbrx", "glm4", "chatglm-bpe"],
            GGUFSplit([.pattern(cl100k(digits: #"\p{N}{1,3}"#))])
        ),
        (["qwen2", "deepseek-r1-qwen", "megrez", "kormo"], GGUFSplit([.pattern(cl100k(digits: #"\p{N}"#))])),
        (["qwen35"], GGUFSplit([.pattern(cl100k(digits: #"\p{N}"#, marks: #"\p{M}"#))])),
        (["tekken"], GGUFSplit([.pattern(o200k(digits: #"\p{N}"#, contraction: ""))], ignoresMerges: true)),
        (
            ["gpt-4o", "llama4"],
            GGUFSplit([.pattern(o200k(digits: #"\p{N}{1,3}"#, contraction: "(?:\(contractions))?"))])
        ),
        (["deepseek-v3"], GGUFSplit([.pattern(#"\p{N}{1,3}"#), .pattern("[一-龥぀-ゟ゠-ヿ]+"), .pattern(deepseek)])),
        (["smollm", "starcoder", "refact", "minerva-7b"], GGUFSplit([.digits], endsWithGPT2: true)),
        (["gpt-2", "olmo", "trillion", "exaone4"], GGUFSplit(endsWithGPT2: true)),
        (
            [unnamed],
            GGUFSplit([
                .pattern(#"[\p{P}\$\+<=>\^~\|]+"#), .pattern(GPT2Scanner.pattern), .pattern(#"\p{N}+"#),
                .pattern("[0-9][0-9][0-9]"),
            ])
        ),
    ]

    private static let contractions = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"

    /// That of cl100k_base, with contractions in ASCII's letters only.
    private static func cl100k(digits: String, marks: String = "") -> String {
        let letter = marks.isEmpty ? #"\p{L}"# : #"[\p{L}"# + marks + "]"
        return "(?:\(contractions))" + #"|[^\r\n\p{L}\p{N}]?"# + letter + "+|" + digits + #"| ?[^\s\p{L}"# + marks
            + #"\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// That of o200k_base, but that marks are no letters, and letters other than ASCII's are both capital and small.
    private static func o200k(digits: String, contraction: String) -> String {
        let before = #"[^\r\n\p{L}\p{N}]?"#
        let (capital, small) = (#"(?:(?![a-z])\p{L})"#, #"(?:(?![A-Z])\p{L})"#)
        return "\(before)\(capital)*\(small)+\(contraction)|\(before)\(capital)+\(small)*\(contraction)|\(digits)"
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// What DeepSeek-V3 splits by after digits, and after Han and kana: a mark and ASCII's letters are one word.
    private static let deepseek =
        ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
        + #"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// `pre_tokenizer` of a tokenizer.json.
    var preTokenizer: JSONText {
        let before = steps.map { step in
            switch step {
            case .digits: JSONText.object([("type", .string("Digits")), ("individual_digits", .bool(true))])
            case .pattern(let pattern):
                JSONText.object([
                    ("type", .string("Split")), ("pattern", .object([("Regex", .string(pattern))])),
                    ("behavior", .string("Isolated")),
                ])
            }
        }
        let byteLevel = JSONText.object([
            ("type", .string("ByteLevel")), ("add_prefix_space", .bool(false)), ("use_regex", .bool(endsWithGPT2)),
        ])
        return .object([("type", .string("Sequence")), ("pretokenizers", .array(before + [byteLevel]))])
    }
}

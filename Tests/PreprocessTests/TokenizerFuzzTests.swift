import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Damaged tokenizers are refused with a sentence or work; whatever they are, and whatever the text is, nothing crashes.
struct TokenizerFuzzTests {
    /// Small tokenizers with every component between them.
    static let documents = [
        #"""
        {"added_tokens": [{"id": 5, "content": "<s>", "special": true}, {"id": 6, "content": "b a", "lstrip": true,
         "rstrip": true, "single_word": true, "normalized": true}], "normalizer": {"type": "Sequence", "normalizers": [
         {"type": "NFC"}, {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "},
         "content": "▁"}]}, "pre_tokenizer": null, "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true,
         "byte_fallback": false, "ignore_merges": false, "vocab": {"<unk>": 0, "▁": 1, "a": 2, "b": 3, "▁a": 4},
         "merges": ["▁ a"]}, "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String":
         "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ",
         "start": 1, "stop": 0}]}}
        """#,
        #"""
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type":
         "Lowercase"}, {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Replace", "pattern":
         {"Regex": "\\s+"}, "content": " "}]}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type":
         "Split", "pattern": {"Regex": "\\p{L}+|[^\\s\\p{L}]"}, "behavior": "MergedWithNext", "invert": true},
         {"type": "Digits", "individual_digits": true}, {"type": "Punctuation", "behavior": "Contiguous"},
         {"type": "ByteLevel", "add_prefix_space": true, "use_regex": true}]}, "model": {"type": "BPE",
         "end_of_word_suffix": "</w>", "continuing_subword_prefix": "", "vocab": {"a": 0, "b": 1, "Ġ": 2, "a</w>": 3,
         "Ġa</w>": 4}, "merges": [["Ġ", "a</w>"]]}, "decoder": {"type": "Sequence", "decoders": [{"type":
         "ByteLevel"}, {"type": "BPEDecoder", "suffix": "</w>"}]}, "truncation": null}
        """#,
        #"""
        {"normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"},
         {"type": "CharDelimiterSplit", "delimiter": "c"}, {"type": "Metaspace", "replacement": "▁",
         "prepend_scheme": "first", "split": true}]}, "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
         "vocab": [["<unk>", 0.0], ["▁", -2.5], ["a", -3], ["ab", -1.5], ["▁a", -2]]}, "decoder": {"type":
         "Metaspace", "replacement": "▁", "prepend_scheme": "always"}, "added_tokens": [{"id": 5, "content": "A"}]}
        """#,
    ]

    private static let words = [
        "\"Metaspace\"", "\"ByteLevel\"", "\"Unigram\"", "\"BPE\"", "\"NFD\"", "\"Removed\"", "\"Isolated\"",
        "\"always\"",
        "\"Strip\"", "\"Fuse\"", "\"(a+)+b\"", "\"\\\\p{L}\"", "\"<unk>\"", "\"▁\"", "[\"a\", \"b\"]",
        "{\"a\": 16777215}",
    ]

    private static func load(_ text: [UInt8]) throws -> Tokenizer {
        try Tokenizer(
            tokenizer: JSONFile(contents: text, path: "tokenizer.json").root, config: nil, digest: Digest(of: text))
    }

    @Test(arguments: documents.indices)
    func theDocumentsAreSound(number: Int) throws {
        let tokenizer = try Self.load(Array(Self.documents[number].utf8))
        #expect(try tokenizer.makeEncoder().ids("ab a<s>, é").count > 3)
    }

    @Test(.timeLimit(.minutes(20)))
    func damagedTokenizersAreRefusedOrWork() throws {
        let mutator = Mutator(words: Self.words)
        var (loaded, refused) = (0, 0)
        try Fuzzing("tokenizer-loader", iterations: 600).run { generator in
            let document = Array((Self.documents.randomElement(using: &generator) ?? "").utf8)
            let tokenizer: Tokenizer
            do {
                tokenizer = try Self.load(mutator.mutate(document, using: &generator))
            } catch let error as JSONError {
                #expect("\(error)".hasPrefix("tokenizer.json: "), "\(error)")
                refused += 1
                return
            }
            loaded += 1
            try Self.check(tokenizer, randomText(Int.random(in: 0...40, using: &generator), using: &generator))
        }
        #expect(loaded > 0 || refused > 0)
    }

    @Test(.timeLimit(.minutes(20)))
    func anyTextIsEncoded() throws {
        let kinds = ["llama3", "o200k", "digits", "deepseek", "qwen2", "llama2", "gemma", "words", "unigram-bytes"]
        let tokenizers = try kinds.map(fixtureTokenizer)
        let mutator = Mutator(words: ["<|im_start|>", "café", "<left> ", "▁▁", "\u{1F468}\u{200D}\u{1F469}"])
        try Fuzzing("tokenizer-text", iterations: 150).run { generator in
            let text = randomText(Int.random(in: 0...60, using: &generator), using: &generator)
            guard let tokenizer = tokenizers.randomElement(using: &generator) else { return }
            try Self.check(tokenizer, text)
            // JSON's reader lets only UTF-8 through; other bytes are refused all the same.
            try Self.check(tokenizer, mutator.mutate(text, using: &generator))
        }
    }

    /// Encodes twice, the second time from the cache, and decodes.
    private static func check(_ tokenizer: Tokenizer, _ text: [UInt8]) throws {
        let encoder = tokenizer.makeEncoder()
        let isUTF8 = String(validating: text, as: UTF8.self) != nil
        do throws(PatternError) {
            let (first, again) = (EncodedText(), EncodedText())
            try encode(text, encoder, first)
            try encode(text, encoder, again)
            #expect(isUTF8)
            #expect(first.ids.elementsEqual(again.ids) && first.starts.elementsEqual(again.starts))
            #expect(first.ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabSize })
            #expect(zip(first.starts, first.ends).allSatisfy { $0 >= 0 && $0 <= $1 && Int($1) <= text.count })
            _ = try tokenizer.decode(first.ids.map(Int.init) + [tokenizer.vocabSize, -1])
        } catch {
            #expect("\(error)".contains(isUTF8 ? "can't be matched: " : "the text isn't UTF-8"), "\(error)")
        }
    }

    private static func encode(
        _ text: [UInt8], _ encoder: TokenEncoder, _ encoded: EncodedText
    ) throws(PatternError) {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.count)
        defer { copy.deallocate() }
        _ = copy.initialize(from: text)
        try encoder.encode(UnsafeBufferPointer(copy), into: encoded)
    }
}

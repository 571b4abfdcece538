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
            tokenizer: JSONFile(contents: text, path: "tokenizer.json").root, config: nil)
    }

    @Test(arguments: documents.indices)
    func theDocumentsAreSound(number: Int) throws {
        let tokenizer = try Self.load(Array(Self.documents[number].utf8))
        #expect(try tokenizer.makeEncoder().ids("ab a<s>, é").count > 3)
    }

    @Test(.mayNotHang)
    func damagedTokenizersAreRefusedOrWork() throws {
        let mutator = Mutator(words: Self.words)
        try Fuzzing("tokenizer-loader", iterations: 600).run { generator in
            let document = Array((Self.documents.randomElement(using: &generator) ?? "").utf8)
            try Self.loadAndCheck(mutator.mutate(document, using: &generator), using: &generator)
        }
    }

    /// Documents that are whole, with values that no tokenizer has: ids, flags, patterns, lengths and numbers of steps.
    @Test(.mayNotHang)
    func oddTokenizersAreRefusedOrWork() throws {
        let documents = try Self.documents.map { text in
            let file = try JSONFile(contents: Array(text.utf8), path: "tokenizer.json")
            return withExtendedLifetime(file) { JSONText(file.root.value) }
        }
        let mutator = TokenizerMutator()
        try Fuzzing("tokenizer-structure", iterations: 600).run { generator in
            guard var document = documents.randomElement(using: &generator) else { return }
            for _ in 0..<Int.random(in: 1...4, using: &generator) { mutator.mutate(&document, using: &generator) }
            try Self.loadAndCheck(Array(document.compact.utf8), using: &generator)
        }
    }

    private static func loadAndCheck(_ document: [UInt8], using generator: inout SplitMix64) throws {
        let tokenizer: Tokenizer
        do {
            tokenizer = try load(document)
        } catch let error as JSONError {
            #expect("\(error)".hasPrefix("tokenizer.json: "), "\(error)")
            return
        }
        try check(tokenizer, randomText(Int.random(in: 0...40, using: &generator), using: &generator))
        let words = ["a", "b", "aaaa", " ", "   ", "<s>", "A", "\n", "▁", "c", "e\u{301}\u{323}", "<0x41>"]
        let text = (0..<30).map { _ in words.randomElement(using: &generator) ?? "" }.joined()
        try check(tokenizer, Array(text.utf8))
    }

    /// Damaged files of SentencePiece and Mistral, likewise.
    @Test(.mayNotHang, arguments: ModelFileTests.kinds)
    func damagedModelFilesAreRefusedOrWork(kind: String) throws {
        let name = kind.hasPrefix("tekken") ? "tekken.json" : "tokenizer.model"
        let sound = try readFile(ModelFileTests.folder(kind) + "/\(name)")
        let mutator = Mutator(words: ["{,3}", "\"IQ==\"", "[]"])
        let scratch = try ScratchDirectory()
        try Fuzzing("tokenizer-\(kind)", iterations: 40).run { generator in
            try writeFile(scratch.file(name), mutator.mutate(sound, using: &generator))
            do {
                let tokenizer = try Tokenizer(ModelFiles(scratch.path))
                let text = randomText(Int.random(in: 0...40, using: &generator), using: &generator)
                let ids = try tokenizer.makeEncoder().encode(text).ids
                #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabSize })
            } catch let error as JSONError {
                #expect("\(error)".contains(name), "\(error)")
            } catch let error as PatternError {
                #expect("\(error)".contains("can't be matched"), "\(error)")
            }
        }
    }

    /// What hostile tokenizers had: each ended the program, or took hours or gigabytes, before it was refused or bounded.
    @Test func hostileTokenizersAreRefusedOrBounded() throws {
        func document(_ parts: String, model: String = #"{"type": "BPE", "vocab": {"a": 0, " ": 1}, "merges": []}"#)
            -> [UInt8]
        {
            Array(#"{"model": \#(model)\#(parts.isEmpty ? "" : ", ")\#(parts)}"#.utf8)
        }
        let long = String(repeating: "a", count: 100_000)
        let doubling = [String](
            repeating: #"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#, count: 30
        ).joined(separator: ", ")
        let prepending = [String](repeating: #"{"type": "Prepend", "prepend": "a"}"#, count: 65).joined(separator: ", ")
        let refused: [([UInt8], String)] = [
            (
                document(#""added_tokens": [{"id": 9, "content": " ", "lstrip": true}]"#),
                "is of spaces and takes those beside it"
            ),
            (
                document(
                    #""added_tokens": [{"id": 9, "content": "x", "rstrip": true}], "normalizer": {"type": "Replace", "pattern": {"String": "x"}, "content": " "}"#
                ), "it becomes spaces and takes those beside it"
            ),
            (
                document(#""added_tokens": [{"id": 2147483647, "content": "x"}]"#),
                "has id 2147483647, should be 0 to 16777215"
            ),
            (document(#""added_tokens": [{"id": 9, "content": "\#(long)"}]"#), "has 100000 bytes, at most 1024"),
            (
                document(#""normalizer": {"type": "Sequence", "normalizers": [\#(prepending)]}"#),
                "has 65 steps, at most 64"
            ),
            (
                document(
                    "",
                    model:
                        #"{"type": "BPE", "vocab": {"<u>": 0, "a": 1, "\#(long)": 2}, "unk_token": "<u>", "scores": [null, 0, 0]}"#
                ),
                "a token of 100000 bytes at 2, at most 1024"
            ),
            (
                document("", model: #"{"type": "Unigram", "unk_id": 0, "vocab": [["\#(long)", 0]]}"#),
                "a token of 100000 bytes, at most 1024"
            ),
            (document("", model: #"{"type": "BPE", "vocab": {"a": 16777216}, "merges": []}"#), "has no id for 'a'"),
        ]
        for (text, problem) in refused {
            #expect {
                try Self.load(text)
            } throws: { error in
                if !"\(error)".contains(problem) { Issue.record("\(error)") }
                return error is JSONError
            }
        }
        let tokenizer = try Self.load(document(#""normalizer": {"type": "Sequence", "normalizers": [\#(doubling)]}"#))
        #expect(throws: PatternError("can't be matched: it becomes longer than 65584 bytes by its rules")) {
            try tokenizer.makeEncoder().ids("aaa")
        }
        #expect(try tokenizer.makeEncoder().ids(" ") == [1])
    }

    @Test(.mayNotHang)
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

/// Changes values of a tokenizer.json, each for one that its key could have.
private struct TokenizerMutator {
    private let integers = [0, 1, -1, 5, 255, 1 << 24 - 1, 1 << 24, 1 << 31 - 1, 1 << 31, Int.max, Int.min]
    private let strings = [
        "", "a", " ", "  ", "▁", "</w>", "##", "<0x41>", "a{,3}", "a{2}?", "\\s+$", "(?=a)", "(a+)+b", "]\u{301}",
        "(?i)a|b",
        "\u{301}", "\u{0}", "aa", String(repeating: "a", count: 1025), "BPE", "Unigram", "ByteLevel", "Metaspace",
        "Replace",
        "NFC", "NFKD", "Strip", "Fuse", "always", "first", "never", "Removed", "Contiguous", "MergedWithNext",
    ]
    private let members: [(String, JSONText)] = [
        ("lstrip", .bool(true)), ("rstrip", .bool(true)), ("single_word", .bool(true)), ("normalized", .bool(true)),
        ("byte_fallback", .bool(true)), ("ignore_merges", .bool(true)), ("fuse_unk", .bool(true)),
        ("scores", .array([.null, .int(0), .number(-0.5), .int(0), .int(1), .int(2)])), ("unk_token", .string("a")),
        ("end_of_word_suffix", .string("a")), ("continuing_subword_prefix", .string("a")), ("invert", .bool(true)),
        ("prepend_scheme", .string("always")), ("use_regex", .bool(false)), ("unk_id", .int(4)),
    ]

    func mutate(_ node: inout JSONText, using generator: inout SplitMix64) {
        switch node {
        case .object(var fields):
            if let i = fields.indices.randomElement(using: &generator), Int.random(in: 0..<8, using: &generator) > 0 {
                mutate(&fields[i].1, using: &generator)
            } else if Bool.random(using: &generator), let new = members.randomElement(using: &generator) {
                fields.append(new)
            } else if let i = fields.indices.randomElement(using: &generator) {
                fields.remove(at: i)
            }
            node = .object(fields)
        case .array(var elements):
            if let i = elements.indices.randomElement(using: &generator) {
                switch Int.random(in: 0..<8, using: &generator) {
                case 0: elements.remove(at: i)
                case 1: elements += [JSONText](repeating: elements[i], count: Int.random(in: 1...80, using: &generator))
                case 2: elements.swapAt(0, i)
                default: mutate(&elements[i], using: &generator)
                }
            }
            node = .array(elements)
        case .bool(let value): node = .bool(!value)
        case .int, .number: node = .int(integers.randomElement(using: &generator) ?? 0)
        case .string(let text):
            let other = strings.randomElement(using: &generator) ?? ""
            node = .string(Bool.random(using: &generator) ? other : text + other)
        case .null: node = .object([("type", .string(strings.randomElement(using: &generator) ?? ""))])
        }
    }
}

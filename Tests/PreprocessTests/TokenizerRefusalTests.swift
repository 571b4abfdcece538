import Shared
import Testing

@testable import Preprocess

/// What isn't supported is refused by its name and position, and never approximated.
struct TokenizerRefusalTests {
    /// A tokenizer.json with parts replaced.
    private static func tokenizer(
        normalizer: String = "null", preTokenizer: String = #"{"type": "ByteLevel"}"#,
        model: String = #"{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}"#,
        decoder: String = #"{"type": "ByteLevel"}"#, added: String = "[]", config: String? = nil
    ) throws -> Tokenizer {
        let text = """
            {"normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer), "model": \(model),
             "decoder": \(decoder), "added_tokens": \(added)}
            """
        return try Tokenizer(
            tokenizer: JSONFile(contents: Array(text.utf8), path: "tokenizer.json").root,
            config: config.map { try JSONFile(contents: Array($0.utf8), path: "tokenizer_config.json").root })
    }

    private func expect(_ message: String, _ body: () throws -> Tokenizer) {
        #expect {
            try body()
        } throws: { error in
            let matches = "\(error)".contains(message)
            if !matches { Issue.record("\(error)") }
            return matches
        }
    }

    /// Else a text of one of them is never found, and a table of many has no free slot left.
    @Test func anIDOfTwoTokensIsRefused() {
        expect("has the id 1 for 'ab' and for 'b'") {
            try Self.tokenizer(model: #"{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 1}, "merges": []}"#)
        }
    }

    @Test func theSmallestTokenizerWorks() throws {
        #expect(try Self.tokenizer().makeEncoder().ids("ab b") == [2, 1])
    }

    @Test func normalizers() {
        expect("tokenizer.json: key 'normalizer.type' 'Nmt' is not supported; supported: NFC, NFD, NFKC, NFKD, Low") {
            try Self.tokenizer(normalizer: #"{"type": "Nmt"}"#)
        }
        expect("key 'normalizer.normalizers.1.type' 'Precompiled'") {
            try Self.tokenizer(
                normalizer: #"{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Precompiled"}]}"#)
        }
        expect("key 'normalizer.pattern' can match nothing") {
            try Self.tokenizer(normalizer: #"{"type": "Replace", "pattern": {"Regex": "a*"}, "content": "b"}"#)
        }
        expect("key 'normalizer.pattern' has 0 bytes, should be 1 to 1024") {
            try Self.tokenizer(normalizer: #"{"type": "Replace", "pattern": {"String": ""}, "content": "b"}"#)
        }
    }

    @Test func preTokenizers() {
        expect("key 'pre_tokenizer.type' 'UnicodeScripts' is not supported; supported: ByteLevel, Metaspace, Split") {
            try Self.tokenizer(preTokenizer: #"{"type": "UnicodeScripts"}"#)
        }
        expect("key 'pre_tokenizer.replacement' is 'ab', should be one character") {
            try Self.tokenizer(preTokenizer: #"{"type": "Metaspace", "replacement": "ab"}"#)
        }
        expect("key 'pre_tokenizer.prepend_scheme' 'last' is not supported; supported: always, first, never") {
            try Self.tokenizer(
                preTokenizer: #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}"#)
        }
        expect("key 'pre_tokenizer.add_prefix_space' is false, but prepend_scheme is 'always'") {
            try Self.tokenizer(
                preTokenizer: #"{"type": "Metaspace", "replacement": "_", "add_prefix_space": false}"#)
        }
        expect("has a step after ByteLevel") {
            try Self.tokenizer(
                preTokenizer: #"{"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "ByteLevel"}]}"#)
        }
    }

    @Test(arguments: [
        (#"[a-z&&[aeiou]]"#, "has an intersection of classes"), (#"\\h+"#, #"has an escape '\h'"#),
        (#"a{1,2}+"#, "has a repeated repetition"), (#"(?<name>a)"#, "has a group '(?<n'"),
        (#"[^\\S]"#, #"has an escape '\S'"#), (#"\\p{Nonsense}"#, "has a property 'Nonsense'"),
        ("(a", "has a '(' without its ')'"),
    ])
    func patterns(pattern: String, message: String) {
        let split = #"{"type": "Split", "pattern": {"Regex": "\#(pattern)"}, "behavior": "Isolated"}"#
        expect("key 'pre_tokenizer.pretokenizers.0.pattern' ") {
            try Self.tokenizer(
                preTokenizer: #"{"type": "Sequence", "pretokenizers": [\#(split), {"type": "ByteLevel"}]}"#)
        }
        expect(message) {
            try Self.tokenizer(
                preTokenizer: #"{"type": "Sequence", "pretokenizers": [\#(split), {"type": "ByteLevel"}]}"#)
        }
    }

    @Test func behaviors() {
        let split = #"{"type": "Split", "pattern": {"String": " "}, "behavior": "Dropped"}"#
        expect("pretokenizers.0.behavior' 'Dropped' is not supported; supported: Removed, Isolated") {
            try Self.tokenizer(
                preTokenizer: #"{"type": "Sequence", "pretokenizers": [\#(split), {"type": "ByteLevel"}]}"#)
        }
    }

    @Test func models() {
        expect("key 'model.type' 'WordPiece' is not supported; supported: BPE, Unigram") {
            try Self.tokenizer(model: #"{"type": "WordPiece", "vocab": {}}"#)
        }
        expect("key 'model.type' 'Unigram' is not supported after the pre-tokenizer ByteLevel") {
            try Self.tokenizer(model: #"{"type": "Unigram", "vocab": []}"#)
        }
        expect("tokenizer.json: key 'model.unk_id' is missing") {
            try Self.tokenizer(preTokenizer: "null", model: #"{"type": "Unigram", "vocab": [["a", 0.0]]}"#)
        }
        expect("key 'model.unk_id' is 1, but the vocabulary has 1 tokens") {
            try Self.tokenizer(preTokenizer: "null", model: #"{"type": "Unigram", "unk_id": 1, "vocab": [["a", 0]]}"#)
        }
        expect("key 'model.vocab' has at 0 no pair of a token and its score") {
            try Self.tokenizer(preTokenizer: "null", model: #"{"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}"#)
        }
        expect("key 'model.byte_fallback' true with 242 bytes without a token is not supported") {
            try Self.tokenizer(
                preTokenizer: "null",
                model: #"{"type": "BPE", "byte_fallback": true, "vocab": {"<0x0A>": 0}, "merges": []}"#)
        }
        expect("key 'model.dropout' 0.1 is not supported") {
            try Self.tokenizer(model: #"{"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []}"#)
        }
        expect("key 'model.unk_token' '<unk>' isn't in the vocabulary") {
            try Self.tokenizer(model: #"{"type": "BPE", "unk_token": "<unk>", "vocab": {"a": 0}, "merges": []}"#)
        }
        expect("key 'model.merges' has 'a b' at 0, without the prefix of its second part") {
            try Self.tokenizer(
                model: """
                    {"type": "BPE", "continuing_subword_prefix": "##", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}
                    """)
        }
        expect("key 'model.merges' has 'a b' at 0, of which a part or the whole isn't in the vocabulary") {
            try Self.tokenizer(model: #"{"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}"#)
        }
        expect("key 'model.vocab' is missing") { try Self.tokenizer(model: #"{"type": "BPE", "merges": []}"#) }
    }

    @Test func decoders() {
        expect("key 'decoder' doesn't begin with ByteLevel, as the pre-tokenizer ByteLevel needs") {
            try Self.tokenizer(decoder: #"{"type": "Fuse"}"#)
        }
        expect("tokenizer.json: key 'decoder' is missing") { try Self.tokenizer(decoder: "null") }
        expect("key 'decoder.type' 'WordPiece' is not supported; supported: ByteLevel, ByteFallback, Fuse, Meta") {
            try Self.tokenizer(decoder: #"{"type": "WordPiece"}"#)
        }
    }

    /// As transformers has it: they are asked for by whoever calls, whatever the file says.
    @Test func truncationAndPaddingAreLeftToOthers() throws {
        let text = """
            {"truncation": {"max_length": 1}, "padding": {"strategy": "BatchLongest"}, "pre_tokenizer": null,
             "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "decoder": null}
            """
        let root = try JSONFile(contents: Array(text.utf8), path: "tokenizer.json").root
        let tokenizer = try Tokenizer(tokenizer: root, config: nil)
        #expect(try tokenizer.makeEncoder().ids("aaa") == [0, 0, 0])
        #expect(try tokenizer.decode([0, 0]) == Array("a a".utf8))
    }

    @Test func addedTokensThatContradictEachOther() {
        expect("tokenizer_config.json: key 'added_tokens_decoder.4' has id 4, but the same token has id 3 elsewhere") {
            try Self.tokenizer(
                added: #"[{"id": 3, "content": "<s>", "special": true}]"#,
                config: #"{"added_tokens_decoder": {"4": {"content": "<s>", "special": true}}}"#)
        }
    }

    @Test func theConfigurationAddsTokensAndNamesSpecialOnes() throws {
        let tokenizer = try Self.tokenizer(
            added: #"[{"id": 3, "content": "<s>", "special": true}]"#,
            config: """
                {"added_tokens_decoder": {"7": {"content": "</s>", "special": true}},
                 "bos_token": "<s>", "eos_token": {"content": "</s>"}}
                """)
        #expect(tokenizer.bosID == 3 && tokenizer.eosID == 7 && tokenizer.vocabSize == 8)
        #expect(try tokenizer.makeEncoder().ids("<s>ab</s>") == [3, 2, 7])
    }
}

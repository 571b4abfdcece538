import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// A GGUF file's tokenizer and template, against llama.cpp's tokens and the tokenizer.json of the same model.
final class GGUFTextsTests {
    private let scratch: ScratchDirectory
    static let golden = Result { try Gzip.json(Fixtures.folder.appending(path: "text/gguf-tokenizers.json.gz")) }

    init() throws { scratch = try ScratchDirectory() }

    /// A model whose metadata are `more`, and what every tokenizer has.
    private func model(_ more: [(String, GGUFValue)], without key: String? = nil) throws -> ModelFiles {
        let path = scratch.file("model.gguf")
        let metadata = [("general.architecture", .string("llama"))] + more
        try GGUFWriter.write(path, metadata.filter { $0.0 != key })
        return try ModelFiles(path)
    }

    private static func strings(_ value: JSONValue?) -> GGUFValue {
        .array(value?.elements.map { .string($0.string ?? "") } ?? [])
    }

    private static func vocabulary(_ node: JSONValue?) -> [(String, GGUFValue)] {
        [
            ("tokenizer.ggml.tokens", strings(node?["tokens"])),
            ("tokenizer.ggml.token_type", .array(node?["kinds"]?.elements.map { .int($0.int ?? 0) } ?? [])),
        ]
    }

    private static func byteLevel(pre: String?) throws -> [(String, GGUFValue)] {
        let node = try golden.get().root.value["byte_level"]
        return vocabulary(node) + [
            ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.merges", strings(node?["merges"])),
        ] + (pre.map { [("tokenizer.ggml.pre", .string($0))] } ?? [])
    }

    private static func sentencePiece(prefix: Bool) throws -> [(String, GGUFValue)] {
        let node = try golden.get().root.value["sentencepiece"]
        return vocabulary(node) + [
            ("tokenizer.ggml.model", .string("llama")), ("tokenizer.ggml.add_space_prefix", .bool(prefix)),
            ("tokenizer.ggml.scores", .array(node?["scores"]?.elements.map { .double($0.double ?? 0) } ?? [])),
        ]
    }

    private func expectIDs(_ model: ModelFiles, _ group: String, _ name: String) throws {
        let root = try Self.golden.get().root.value
        let texts = Array(try #require(root["texts"]).elements)
        let row = try #require(root[group]?["ids"]?[name]?.int, "fixtures/generate/gguf_tokenizers.py lacks it")
        let expected = Array(try #require(root["rows"]).elements)[row].elements.map { $0.elements.compactMap(\.int) }
        #expect(texts.count > 100 && texts.count == expected.count)
        let tokenizer = try Tokenizer(model)
        let encoder = tokenizer.makeEncoder()
        for (text, ids) in zip(texts, expected) {
            let text = try #require(text.string)
            #expect(try encoder.ids(text) == ids, "\(name): \(text.debugDescription)")
            // A space that is put before a text can't be told from one that was there, nor `▁` from a space.
            guard name != "true", name != "false" || !text.unicodeScalars.contains("▁") else { continue }
            #expect(try String(decoding: tokenizer.decode(ids), as: UTF8.self) == text)
        }
    }

    @Test(arguments: GGUFSplit.names)
    func everySplitGivesLlamaCppsIDs(pre: String) throws {
        try expectIDs(model(Self.byteLevel(pre: pre)), "byte_level", pre)
    }

    @Test func withoutANameTheSplitIsTheDefault() throws {
        try expectIDs(model(Self.byteLevel(pre: nil)), "byte_level", "default")
    }

    /// Scores are the same for three tokens each: the leftmost pair of equals merges first.
    @Test(arguments: [true, false])
    func scoredMergesGiveLlamaCppsIDs(prefix: Bool) throws {
        try expectIDs(model(Self.sentencePiece(prefix: prefix)), "sentencepiece", "\(prefix)")
    }

    /// The kinds that have a tokenizer.json among the fixtures, whose tokens strip nothing.
    @Test(arguments: [("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("digits", "smollm")])
    func idsAreThoseOfTheTokenizerJSON(kind: String, pre: String) throws {
        let folder = Fixtures.folder.appending(path: "tokenizers/\(kind)")
        let root = try JSONFile(folder.appending(path: "tokenizer.json").path).root
        let vocab = try #require(root["model"]?["vocab"]).members.map { ($0.key, $0.value.value.int ?? 0) }
        let merges = try #require(root["model"]?["merges"]).elements.map { node in
            node.value.string ?? node.value.elements.compactMap(\.string).joined(separator: " ")
        }
        let tokens = vocab.sorted { $0.1 < $1.1 }.map(\.0)
        let tokenizer = try Tokenizer(
            model([
                ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.pre", .string(pre)),
                ("tokenizer.ggml.tokens", .array(tokens.map(GGUFValue.string))),
                ("tokenizer.ggml.token_type", .array(tokens.map { _ in .int(1) })),
                ("tokenizer.ggml.merges", .array(merges.map(GGUFValue.string))),
            ]))
        let other = try fixtureTokenizer(kind)
        let conversations = Fixtures.folder.appending(path: "conversations/eval_sharegpt_smollm2.jsonl")
        let text = try String(contentsOf: conversations, encoding: .utf8)
        for line in text.split(separator: "\n") where !line.contains("word") {
            #expect(try tokenizer.makeEncoder().ids(String(line)) == other.makeEncoder().ids(String(line)))
        }
    }

    @Test func tokensOfTheSameCharactersInOtherScalarsAreTwo() throws {
        let tokens = ["a", "e\u{301}", "\u{E9}"] + Self.byteTokens
        let tokenizer = try Tokenizer(
            model([
                ("tokenizer.ggml.model", .string("llama")), ("tokenizer.ggml.add_space_prefix", .bool(false)),
                ("tokenizer.ggml.tokens", .array(tokens.map(GGUFValue.string))),
                ("tokenizer.ggml.token_type", .array(tokens.indices.map { .int($0 == 1 ? 4 : $0 == 2 ? 1 : 6) })),
                ("tokenizer.ggml.scores", .array(tokens.map { _ in .double(0) })),
            ]))
        #expect(try tokenizer.makeEncoder().ids("\u{E9}e\u{301}") == [2, 1])
    }

    private static let byteTokens = (0..<256).map { byte in
        "<0x\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))>"
    }

    @Test func templatesAndSpecialTokensAreFound() throws {
        let files = try model(
            Self.byteLevel(pre: "qwen2") + [
                ("tokenizer.ggml.bos_token_id", .int(2000)), ("tokenizer.ggml.eos_token_id", .int(2001)),
                ("tokenizer.ggml.eot_token_id", .int(2002)),
                (
                    "tokenizer.chat_template",
                    .string("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
                ),
                ("tokenizer.chat_template.tool_use", .string("{{ tools|tojson }}")),
            ])
        let template = try #require(try ChatTemplate(files))
        #expect(template.toolSource == Array("{{ tools|tojson }}".utf8))
        #expect(template.specialTokens.map(\.name) == ["bos_token", "eos_token"])
        let tokenizer = try Tokenizer(files)
        #expect(tokenizer.bosID == 2000 && tokenizer.bosToken == "<|endoftext|>")
        let target = try TargetText(files, tokenizer, endOfTurn: nil)
        #expect(target.vocabSize == tokenizer.vocabSize)
        #expect(target.specialTokens.map(\.id) == [2000, 2001, 2002])
    }

    /// Of a directory with both, tokenizer.json and chat_template.jinja count.
    @Test func filesBesideTheGGUFFileComeFirst() throws {
        _ = try model(Self.byteLevel(pre: "qwen2") + [("tokenizer.chat_template", .string("its own"))])
        _ = try scratch.write("chat_template.jinja", "beside it")
        let files = try ModelFiles(scratch.path)
        #expect(try Tokenizer(files).vocabSize == 2007)
        #expect(try ChatTemplate(files)?.source == Array("beside it".utf8))
        let tiny = Fixtures.folder.appending(path: "tokenizers/tiny/tokenizer.json")
        try FileManager.default.copyItem(atPath: tiny.path, toPath: scratch.file("tokenizer.json"))
        let both = try ModelFiles(scratch.path)
        #expect(try Tokenizer(both).vocabSize == Tokenizer(ModelFiles(tiny.deletingLastPathComponent().path)).vocabSize)
        #expect(try both.json("tokenizer_config.json") == nil)
    }

    static let refused: [(key: String, value: GGUFValue?, message: String)] = [
        ("tokenizer.ggml.model", .string("bert"), "is 'bert', supported are gpt2, llama; the model's tokenizer.json"),
        ("tokenizer.ggml.model", nil, "key 'tokenizer.ggml.model' is missing"),
        ("tokenizer.ggml.pre", .string("bloom"), "'tokenizer.ggml.pre' is 'bloom', supported are llama-bpe, llama3"),
        ("tokenizer.ggml.tokens", .string("a"), "key 'tokenizer.ggml.tokens' should be an array of strings"),
        (
            "tokenizer.ggml.tokens", .array([.string("a"), .string("b"), .string("a")]),
            "has 'a' twice, the second time at 2"
        ),
        ("tokenizer.ggml.tokens", .array([.string("a")]), "has 2007 elements, should have one for each of 1 tokens"),
        ("tokenizer.ggml.merges", .array([.string("a zz")]), "key 'model.merges' has 'a zz' at 0, of which a part"),
        ("tokenizer.ggml.bos_token_id", .int(9999), "'tokenizer.ggml.bos_token_id' is 9999, but there are 2007 tokens"),
        ("tokenizer.chat_template", .int(1), "key 'tokenizer.chat_template' should be a string"),
        ("general.architecture", .string("phi3"), "is 'phi3', whose special tokens take the spaces after them"),
    ]

    @Test(arguments: refused.indices)
    func whatIsNotSupportedIsNamed(number: Int) throws {
        let (key, value, message) = Self.refused[number]
        let own = [("general.architecture", .string("llama"))] + (try Self.byteLevel(pre: "qwen2"))
        let metadata = own.filter { $0.0 != key } + (value.map { [(key, $0)] } ?? [])
        try GGUFWriter.write(scratch.file("model.gguf"), metadata)
        #expect {
            try Tokenizer(ModelFiles(self.scratch.path))
        } throws: { error in
            let matches = "\(error)".contains(message) && "\(error)".contains("model.gguf")
            if !matches { Issue.record("\(error)") }
            return matches
        }
    }

    @Test func scoresThatDontFitAreRefused() throws {
        func expect(_ message: String, tokens: [String], scores: [Double]) {
            #expect {
                try Tokenizer(
                    self.model([
                        ("tokenizer.ggml.model", .string("llama")),
                        ("tokenizer.ggml.tokens", .array(tokens.map(GGUFValue.string))),
                        ("tokenizer.ggml.token_type", .array(tokens.map { _ in .int(1) })),
                        ("tokenizer.ggml.scores", .array(scores.map(GGUFValue.double))),
                    ]))
            } throws: {
                "\($0)".contains(message)
            }
        }
        expect("need a token for each byte", tokens: ["a", "b", "ab"], scores: [0, 0, 0])
        expect(
            "belong to 'ab' at 1, of which a character is no token", tokens: ["a", "ab"] + Self.byteTokens,
            scores: [Double](repeating: 0, count: 258))
        expect("has infinite ones", tokens: ["a", "b"], scores: [0, .infinity])
        expect("has 1 elements, should have one for each of 2 tokens", tokens: ["a", "b"], scores: [0])
    }
}

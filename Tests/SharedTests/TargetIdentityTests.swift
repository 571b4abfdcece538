import TestSupport
import Testing

@testable import Shared

/// Whether a store's tokens are a target's, of models whose vocabularies have the same size.
struct TargetIdentityTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// A model of five tokens.
    private func model(
        _ name: String, tokens: [String] = ["<s>", "</s>", "a", "b", "c"], merges: String = "[]", eos: Int = 1,
        config: String = #"{"eos_token": "</s>"}"#, more: [String: String] = [:]
    ) throws -> String {
        let directory = scratch.file(name)
        try makeDirectory(directory)
        let vocabulary = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        var files = [
            "tokenizer.json": #"{"model": {"type": "BPE", "vocab": {\#(vocabulary)}, "merges": \#(merges)}}"#,
            "tokenizer_config.json": config,
            "config.json": """
            {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, \
            "vocab_size": 5, "eos_token_id": \(eos)}
            """,
        ]
        files.merge(more) { $1 }
        for (file, text) in files where !text.isEmpty { try writeFile("\(directory)/\(file)", text.utf8) }
        return directory
    }

    private func gguf(_ name: String, tokens: [String], pre: String = "gpt-2") throws -> String {
        let path = scratch.file(name)
        try GGUFWriter.write(
            path,
            [
                ("general.architecture", .string("llama")), ("tokenizer.ggml.pre", .string(pre)),
                ("tokenizer.ggml.tokens", .array(tokens.map(GGUFValue.string))),
                ("tokenizer.ggml.eos_token_id", .int(1)), ("tokenizer.chat_template", .string(name)),
            ])
        return path
    }

    private func manifest(of path: String) throws -> StoreManifest {
        let identity = try #require(try TokenizerIdentity(TargetFiles(path)))
        var manifest = StoreManifest(
            files: [], vocabSize: 5, tokenizer: identity, specialTokens: [SpecialToken(.eos, "</s>", id: 1)])
        manifest.targetModelPath = path
        // What Trainer reads is what was written.
        return try StoreManifest(JSONFile(contents: Array(manifest.json.compact.utf8), path: "manifest").root)
    }

    /// What is wrong with the target for a store of another, or the same; nil if nothing.
    private func mismatch(_ store: String, _ target: String) throws -> String? {
        let configuration = try ModelConfiguration(JSONFile("\(target)/config.json"))
        return try manifest(of: store).mismatch(with: TargetIdentity(target, configuration), at: target)
    }

    @Test func aCopyOfAModelIsTheSame() throws {
        let (one, two) = (try model("one"), try model("two"))
        #expect(try mismatch(one, two) == nil)
        #expect(try manifest(of: one).changes(to: manifest(of: two)).isEmpty)
    }

    /// The template has a digest of its own, among what shapes a store.
    @Test func anotherChatTemplateIsNoOtherTokenizer() throws {
        let config = #"{"eos_token": "</s>", "chat_template": "{{ messages }}"}"#
        #expect(try mismatch(model("one"), model("two", config: config)) == nil)
    }

    @Test func anotherTokenizerOfTheSameSizeIsNamedWithBothModels() throws {
        let one = try model("mistral")
        let others = [
            ("tokens", try model("llama", tokens: ["<s>", "</s>", "b", "a", "c"]), "tokenizer.json"),
            ("merges", try model("merges", merges: #"["a b"]"#), "tokenizer.json"),
            (
                "added", try model("added", config: #"{"added_tokens_decoder": {"4": {"content": "c"}}}"#),
                "tokenizer_config.json"
            ),
            ("none", try model("none", config: ""), "tokenizer_config.json"),
        ]
        for (what, other, file) in others {
            let problem = try #require(try mismatch(one, other), "\(what)")
            #expect(
                problem.contains("another tokenizer") && problem.contains(one) && problem.contains(other), "\(problem)")
            #expect(problem.contains("(\(file) "), "\(problem)")
            #expect(try !manifest(of: one).changes(to: manifest(of: other)).isEmpty)
        }
    }

    @Test func aSpecialTokenThatTheStoreDoesNotKnowIsNamed() throws {
        let one = try model("one")
        let problem = try #require(try mismatch(one, model("two", eos: 3)))
        #expect(problem.contains("without the special token 3") && problem.contains("1 '</s>'"), "\(problem)")
        let generation = try model("three", more: ["generation_config.json": #"{"eos_token_id": [1, 4]}"#])
        #expect(try #require(try mismatch(one, generation)).contains("special token 4"))
        #expect(try mismatch(one, model("four", eos: -1)) == nil)
    }

    @Test func anotherSizeIsNamed() throws {
        let one = try model("one")
        var target = try TargetIdentity(one, ModelConfiguration(JSONFile("\(one)/config.json")))
        target.vocabSize = 6
        #expect(try #require(manifest(of: one).mismatch(with: target, at: "m")).contains("has 5; that of m has 6"))
    }

    /// Weights alone can't be compared; nor can they be wrong.
    @Test func aTargetWithoutATokenizerIsNotCompared() throws {
        let bare = try model("bare", more: ["tokenizer.json": "", "tokenizer_config.json": ""])
        #expect(try mismatch(model("one"), bare) == nil)
    }

    @Test func aGGUFFileIsTheDirectoryThatItWasMadeOf() throws {
        let tokens = ["<s>", "</s>", "a", "b", "c"]
        func identity(_ path: String) throws -> TokenizerIdentity {
            try #require(try TokenizerIdentity(TargetFiles(path)))
        }
        let directory = try identity(model("one"))
        let file = try identity(gguf("a.gguf", tokens: tokens))
        #expect(directory.difference(from: file) == nil && file.difference(from: directory) == nil)
        #expect(try file.difference(from: identity(gguf("b.gguf", tokens: tokens))) == nil)
        #expect(try directory.difference(from: identity(gguf("c.gguf", tokens: tokens + ["[PAD5]"]))) == nil)
        let swapped = try identity(gguf("d.gguf", tokens: ["<s>", "</s>", "b", "a", "c"]))
        #expect(
            try #require(directory.difference(from: swapped)).hasPrefix("tokens of tokenizer.json and tokenizer.ggml"))
        let split = try identity(gguf("e.gguf", tokens: tokens, pre: "llama-bpe"))
        #expect(try #require(file.difference(from: split)).hasPrefix("tokenizer.ggml "))
    }

    @Test(arguments: [
        #"{"model": {"vocab": {"a": -1}}}"#, #"{"model": {"vocab": {"a": 16777216}}}"#,
        #"{"model": {"vocab": {"a": "0"}}}"#,
        #"{"model": {"vocab": [[1, 2]]}}"#, #"{"model": {"vocab": {}}, "added_tokens": [{"id": 1}]}"#, "{",
    ])
    func damagedTokenizersAreNamed(text: String) throws {
        let path = try model("m", more: ["tokenizer.json": text])
        let error = #expect(throws: JSONError.self) { try TokenizerIdentity(TargetFiles(path)) }
        #expect("\(try #require(error))".hasPrefix("\(path)/tokenizer.json: "), "\(error as Any)")
    }

    @Test func aFolderOfTheHubsCacheIsNamedWithItsSnapshots() throws {
        let scratch = try ScratchDirectory()
        try makeDirectory(scratch.file("models--a--b/snapshots/0123"))
        _ = try scratch.write("models--a--b/snapshots/0123/config.json", "{}")
        let error = #expect(throws: FileError.self) { try TargetFiles(scratch.file("models--a--b")) }
        #expect(
            "\(try #require(error))".hasSuffix("name a snapshot in it: \(scratch.file("models--a--b/snapshots/0123"))"))
        #expect(try TargetFiles(scratch.file("models--a--b/snapshots/0123")).contents("config.json") != nil)
    }
}

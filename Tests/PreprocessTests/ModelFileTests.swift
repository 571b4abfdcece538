import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Directories without tokenizer.json: `tokenizer.model` of SentencePiece, and Mistral's `tekken.json`.
struct ModelFileTests {
    static let kinds = ["spm", "spm-added", "spm-unigram", "spm-gemma", "tekken", "tekken-listed"]

    static func folder(_ kind: String) -> String {
        Fixtures.folder.appending(path: "tokenizers/\(kind)").path(percentEncoded: false)
    }

    /// Difficult texts, and some with special tokens, whose ids are transformers' or mistral-common's.
    @Test(arguments: kinds)
    func theIDsAreThoseOfTheReference(kind: String) throws {
        let golden = try Gzip.json(Fixtures.folder.appending(path: "text/model-files.json.gz"))
        let texts = [try TokenizerGoldenTests.small.get().root.value["texts"], golden.root.value["more"]]
            .flatMap { $0?.elements.compactMap { $0.utf8.map(Array.init) } ?? [] }
        let ids = try #require(golden.root.value["ids"]?[kind]).elements.map { $0.elements.compactMap(\.int) }
        #expect(texts.count == ids.count && texts.count > 100)
        let tokenizer = try fixtureTokenizer(kind)
        let encoder = tokenizer.makeEncoder()
        for (text, ids) in zip(texts, ids) {
            #expect(try encoder.encode(text).ids == ids, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    /// As unfinished downloads leave links, and as nobody's tokenizer is: neither is read, nor passed over.
    @Test func linksToNothingAndFilesTooLargeAreNamed() throws {
        let scratch = try ScratchDirectory()
        let (link, large) = (scratch.file("config.json"), scratch.file("tokenizer.json"))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: scratch.file("blobs/none"))
        #expect(FileManager.default.createFile(atPath: large, contents: nil))
        try #require(truncate(large, off_t(TargetFiles.largestFile + 1)) == 0)
        let model = try ModelFiles(scratch.path)
        for (name, message) in [
            ("config.json", "\(link): can't open it: No such file or directory"),
            ("tokenizer.json", "\(large): can't read it: it has 1073741825 bytes, at most 1073741824 are supported"),
        ] {
            let error = #expect(throws: FileError.self) { try model.contents(name) }
            #expect("\(try #require(error))" == message)
        }
        #expect(try model.contents("generation_config.json") == nil)
    }

    @Test func whatIsNoModelIsNamed() throws {
        let scratch = try ScratchDirectory()
        let file = try scratch.write("weights.safetensors", "x")
        for (path, reason) in [
            (file, "it is a file; should be the directory that the model's files are in, or a file *.gguf"),
            ("\(scratch.path)/none", "there is no such directory"),
            (
                "owner/name-7B",
                "there is no such directory; one of the Hugging Face Hub is fetched by: hf download owner/name-7B --local-dir DIR"
            ),
            (
                scratch.path,
                "it has no tokenizer.json, tokenizer.model, tekken.json or *.gguf; in it are weights.safetensors"
            ),
        ] {
            let error = #expect(throws: FileError.self) { try Tokenizer(ModelFiles(path)) }
            #expect(error.map { "\($0)" } == "\(path): can't use it as a model: \(reason)")
        }
    }

    @Test func specialTokensAreTheConfigurationsOrTheFiles() throws {
        let expected: [(String, String, Int32, String, Int32, Int)] = [
            ("spm", "<s>", 1, "</s>", 2, 700), ("spm-added", "<s>", 1, "<|im_end|>", 701, 703),
            ("spm-unigram", "<s>", 1, "</s>", 2, 702), ("spm-gemma", "<bos>", 2, "<eos>", 1, 700),
            ("tekken", "<s>", 1, "</s>", 2, 725), ("tekken-listed", "<s>", 1, "</s>", 2, 725),
        ]
        for (kind, bos, bosID, eos, eosID, size) in expected {
            let tokenizer = try fixtureTokenizer(kind)
            #expect(tokenizer.bosToken == bos && tokenizer.bosID == bosID, "\(kind)")
            #expect(tokenizer.eosToken == eos && tokenizer.eosID == eosID, "\(kind)")
            #expect(tokenizer.vocabSize == size, "\(kind) has \(tokenizer.vocabSize)")
        }
        // A special token without an id gets the next one, as in transformers.
        #expect(try fixtureTokenizer("spm-added").id(of: "<pad>") == 702)
    }

    @Test(arguments: ["spm", "spm-gemma", "tekken"])
    func decodingGivesTheTextBack(kind: String) throws {
        let tokenizer = try fixtureTokenizer(kind)
        let encoder = tokenizer.makeEncoder()
        for text in ["Hello, wörld!\n\n  x", "中文 🙂"] {
            #expect(try String(decoding: tokenizer.decode(encoder.ids(text)), as: UTF8.self) == text)
        }
    }

    @Test func everyFileCountsForTheDigest() throws {
        let scratch = try ScratchDirectory()
        func digest(_ files: [String: String]) throws -> String {
            let folder = scratch.file("model-\(files.count)-\(files.keys.sorted().joined())")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try writeFile("\(folder)/tokenizer.model", readFile(Self.folder("spm") + "/tokenizer.model"))
            for (name, content) in files { try writeFile("\(folder)/\(name)", Array(content.utf8)) }
            return try #require(try TokenizerIdentity(TargetFiles(folder))).digest
        }
        let digests = [
            try digest([:]), try digest(["added_tokens.json": #"{"<x>": 700}"#]),
            try digest(["added_tokens.json": #"{"<x>": 700}"#, "special_tokens_map.json": #"{"eos_token": "<x>"}"#]),
            try digest(["tokenizer_config.json": #"{"legacy": false}"#]),
        ]
        #expect(Set(digests).count == 4)
        #expect(try digest([:]) == digests[0])
    }

    @Test func tokenizerJSONCountsBeforeTheOthers() throws {
        let scratch = try ScratchDirectory()
        try writeFile(scratch.file("tekken.json"), readFile(Self.folder("tekken") + "/tekken.json"))
        try writeFile(scratch.file("tokenizer.model"), readFile(Self.folder("spm") + "/tokenizer.model"))
        #expect(try Tokenizer(ModelFiles(scratch.path)).vocabSize == 700)
        try writeFile(scratch.file("tokenizer.json"), readFile(Self.folder("qwen2") + "/tokenizer.json"))
        #expect(try TokenizerIdentity(TargetFiles(scratch.path))?.files.keys.sorted() == ["tokenizer.json"])
        #expect(try Tokenizer(ModelFiles(scratch.path)).vocabSize == fixtureTokenizer("qwen2").vocabSize)
    }

    // MARK: - What isn't supported

    private static func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
        [UInt8(number << 3 | 2), UInt8(bytes.count)] + bytes
    }

    private static func piece(_ text: String, kind: UInt8 = 1) -> [UInt8] {
        field(1, field(1, Array(text.utf8)) + [2 << 3 | 5, 0, 0, 0, 0, 3 << 3, kind])
    }

    /// A model of a few pieces.
    ///
    /// Fields 3, 4 and 5 of the normalizer are flags; 24 and 3 of the trainer too.
    private static func model(
        trainer: [UInt8] = [3 << 3, 2], normalizer: [UInt8] = [4 << 3, 0], pieces: [UInt8] = []
    ) -> [UInt8] {
        piece("<unk>", kind: 2) + piece("a") + piece("b") + pieces + field(2, trainer) + field(3, normalizer)
    }

    private func load(_ contents: [UInt8], _ name: String = "tokenizer.model") throws -> Tokenizer {
        let scratch = try ScratchDirectory()
        try writeFile(scratch.file(name), contents)
        return try Tokenizer(ModelFiles(scratch.path))
    }

    @Test func theSmallestModelWorks() throws {
        #expect(try load(Self.model()).makeEncoder().ids("ab") == [0, 1, 2])
    }

    @Test func modelsThatAreNotSupportedAreRefusedByName() throws {
        let cases: [([UInt8], String)] = [
            (
                Self.model(normalizer: Self.field(1, Array("nmt_nfkc".utf8)) + Self.field(2, [1]) + [4 << 3, 0]),
                "its normalizer is 'nmt_nfkc'"
            ),
            (Self.model(normalizer: []), "it sets remove_extra_whitespaces"),
            (Self.model(normalizer: [4 << 3, 0, 5 << 3, 0]), "it doesn't set escape_whitespaces"),
            (Self.model(trainer: [3 << 3, 4]), "its model_type is character"),
            (Self.model(trainer: [3 << 3, 2, 0xC0, 1, 1]), "it sets treat_whitespace_as_suffix"),
            (Self.model(trainer: [3 << 3, 9]), "its model_type is 9"),
            (Self.model(pieces: Self.piece("c", kind: 5)), "its piece 'c' is an unused one"),
            (Self.model(pieces: Self.piece("a")), "has the piece 'a' twice"),
            (Self.model(pieces: Self.piece("c", kind: 7)), "the piece 'c' is of kind 7"),
            (Array(Self.model().dropFirst(Self.piece("<unk>").count)), "has no unknown piece at its unk_id, 0"),
            (Array("IQ== 0\nIg== 1\n".utf8), "holds tiktoken's ranks"),
            (Self.model(pieces: [1 << 3 | 2, 200]), "field 1 has"), ([], "it has no pieces"),
            (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "is no SentencePiece model"),
        ]
        for (contents, message) in cases {
            #expect {
                try load(contents)
            } throws: { error in
                let text = "\(error)"
                if !text.contains(message) || !text.contains("tokenizer.model: ") { Issue.record("\(text)") }
                return error is JSONError
            }
        }
    }

    @Test func aModelThatIsNotSupportedComesWithTheWayOut() {
        #expect {
            try load(Self.model(normalizer: []))
        } throws: { error in
            "\(error)".contains("import AutoTokenizer") && "\(error)".contains("save_pretrained(")
        }
    }

    @Test(arguments: [
        (#"{"vocab": []}"#, "key 'config' is missing"),
        (
            #"{"config": {"pattern": "a", "default_vocab_size": 1e9, "default_num_special_tokens": 0}, "vocab": []}"#,
            "key 'config.default_vocab_size'"
        ),
        (
            #"{"config": {"pattern": "a", "default_vocab_size": 30, "default_num_special_tokens": 20}, "vocab": []}"#,
            "key 'vocab' has 0 tokens, should have at least 10"
        ),
        (
            #"{"config": {"pattern": "a", "default_vocab_size": 21, "default_num_special_tokens": 20}, "vocab": [{"rank": 0, "token_bytes": "IQ"}]}"#,
            "key 'vocab' has at 0 no token"
        ),
        (
            #"{"config": {"pattern": "(?<n>a)", "default_vocab_size": 21, "default_num_special_tokens": 20}, "vocab": [{"rank": 0, "token_bytes": "IQ=="}]}"#,
            "has a group '(?<n'"
        ),
        (
            #"{"config": {"pattern": "a", "default_vocab_size": 5, "default_num_special_tokens": 5}, "vocab": []}"#,
            "has 20 special tokens"
        ),
    ])
    func tekkenFilesAreRefusedByTheirKeys(text: String, message: String) {
        #expect {
            try load(Array(text.utf8), "tekken.json")
        } throws: { error in
            if !"\(error)".contains(message) || !"\(error)".contains("tekken.json") { Issue.record("\(error)") }
            return error is JSONError
        }
    }
}

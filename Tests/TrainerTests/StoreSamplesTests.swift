import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A store is used for the target whose tokens it has, and for no other.
struct StoreSamplesTests {
    private let scratch: ScratchDirectory
    private let data: String
    private let cache: String
    private let model: String

    init() throws {
        scratch = try ScratchDirectory()
        (cache, model) = (scratch.file("cache"), scratch.file("mistral"))
        data = try scratch.write(
            "data.jsonl",
            #"{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello you"}]}"# + "\n")
        try copy(to: model)
        let end = try ProgramRun(
            "Preprocess",
            [
                "build", "--train-data-path", data, "--target-model-path", model, "--cache-dir", cache, "--max-length",
                "128", "--row-per-turn", "--ignore-token", "<|im_end|>", "--overflow", "split",
            ]
        ).finish()
        #expect(end.code == 0, "\(end.errors)")
    }

    /// A model with the tiny tokenizer, changed by `change`.
    private func copy(to directory: String, _ change: (String) -> String = { $0 }) throws {
        try makeDirectory(directory)
        let source = Fixtures.folder.appending(path: "tokenizers/tiny").path
        let tokenizer = String(decoding: try readFile("\(source)/tokenizer.json"), as: UTF8.self)
        try writeFile("\(directory)/tokenizer.json", change(tokenizer).utf8)
        try writeFile("\(directory)/tokenizer_config.json", readFile("\(source)/tokenizer_config.json"))
        let config = String(
            decoding: try readFile(Fixtures.folder.appending(path: "targets/llama/config.json").path), as: UTF8.self)
        let sized = config.replacing(try Regex(#""vocab_size": \d+"#), with: #""vocab_size": 4096"#)
        try writeFile("\(directory)/config.json", sized.utf8)
    }

    private func open(_ model: String, template: String? = nil, maxLength: Int? = nil) throws -> StoreSamples {
        try StoreSamples(
            StoreSamples.Request(
                dataPaths: [data], cacheDir: cache, chatTemplate: template, maxLength: maxLength, targetModelPath: model
            )
        )
    }

    @Test func aStoreOfTheTargetsOwnTokensIsUsed() throws {
        #expect(try open(model).count == 1)
        let copy = scratch.file("copy")
        try self.copy(to: copy)
        #expect(try open(copy, template: "auto", maxLength: 128).count == 1)
        #expect(try !open(model).endTokens.isEmpty)
    }

    /// As a store of Mistral's would be offered to Llama 2, whose vocabulary has as many tokens.
    @Test func aStoreOfAnotherTokenizerOfTheSameSizeIsRefusedByName() throws {
        let other = scratch.file("llama")
        try copy(to: other) { $0.replacing("\"content\": \"<|im_start|>\"", with: "\"content\": \"<|start|>\"") }
        let error = #expect(throws: StoreError.self) { try open(other) }
        let text = "\(try #require(error))"
        #expect(text.contains("another tokenizer") && text.contains(model) && text.contains(other), "\(text)")
        #expect(text.contains("tokenizer.json "), "\(text)")
        let command = "Preprocess build --train-data-path \(data) --target-model-path \(other) --cache-dir \(cache) "
        #expect(text.contains(command) && text.hasSuffix("--row-per-turn"), "\(text)")
    }

    /// The command that is printed builds the store that was asked for, with all else as it was.
    @Test func thePrintedCommandHasEveryOptionThatShapedTheStore() throws {
        let error = #expect(throws: StoreError.self) { try open(model, maxLength: 64) }
        let text = "\(try #require(error))"
        #expect(text.contains("was built with --max-length 128, not 64"), "\(text)")
        let command = try #require(text.split(separator: "\n").last).split(separator: " ").map(String.init)
        let words = command.drop { $0 != "build" }.map { $0.filter { $0 != "'" } }
        let end = try ProgramRun("Preprocess", Array(words)).finish()
        #expect(end.code == 0, "\(end.errors)")
        let store = try SampleStore(reading: StoreLocation.path(cacheDir: cache, dataPaths: [data]))
        let settings = store.manifest.settings.known
        #expect(settings.maxLength == 64 && settings.rowPerTurn && settings.ignoreToken == ["<|im_end|>"])
        #expect(settings.overflow == .split)
        #expect(try open(model, maxLength: 64).count >= 1)
    }

    /// The name of a template's file says nothing; what is in it does.
    @Test func aTemplatesFileIsKnownByItsContents() throws {
        let entry =
            #"{"assistant_header": "<|im_start|>assistant\n", "user_header": "<|im_start|>user\n", "end_of_turn_token": "<|im_end|>\n"}"#
        let (first, second) = (try scratch.write("a.json", entry), try scratch.write("b.json", entry))
        let end = try ProgramRun(
            "Preprocess",
            [
                "build", "--train-data-path", data, "--target-model-path", model, "--cache-dir", cache,
                "--chat-template", first, "--ignore-template-check",
            ]
        ).finish()
        #expect(end.code == 0, "\(end.errors)")
        #expect(try open(model, template: second).count == 1)
        _ = try scratch.write("b.json", entry + " ")
        #expect(throws: StoreError.self) { try open(model, template: second) }
    }
}

/// What is said of a draft's vocabulary.
struct DraftVocabularyTests {
    /// A draft vocabulary of more tokens than occur is filled with others, whose columns learn nothing.
    @Test func aVocabularyThatIsFilledUpIsSaid() throws {
        let counts: [UInt64] = [0, 5, 0, 2, 0, 9, 0]
        let some = try VocabularyMapping.derive(counts: counts, draftVocabSize: 3, always: [])
        #expect(some.draftToTarget == [1, 3, 5] && some.fillingNote(counts) == nil)
        let more = try VocabularyMapping.derive(counts: counts, draftVocabSize: 6, always: [6])
        #expect(more.draftToTarget == [0, 1, 2, 3, 5, 6] && more.unusedCount(counts) == 3)
        #expect(more.fillingNote(counts)?.hasPrefix("3 of the draft vocabulary's 6 tokens never occur") == true)
    }
}

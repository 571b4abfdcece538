import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Directories whose files don't agree on the vocabulary.
struct TargetTextTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let path = Fixtures.folder.appending(path: "tokenizers/tiny/\(name)").path(percentEncoded: false)
            try writeFile(scratch.file(name), try readFile(path))
        }
    }

    private func target(_ config: String, generation: String? = nil) throws -> TargetText {
        _ = try scratch.write("config.json", config)
        if let generation { _ = try scratch.write("generation_config.json", generation) }
        let model = try ModelFiles(scratch.path)
        return try TargetText(model, Tokenizer(model), endOfTurn: nil)
    }

    @Test func negativeIDsOfSpecialTokensAreNone() throws {
        let plain = try target(#"{"vocab_size": 4096}"#)
        let negative = try target(#"{"vocab_size": 4096, "eos_token_id": -1}"#, generation: #"{"eos_token_id": [-1]}"#)
        #expect(plain.specialTokens.map(\.id) == negative.specialTokens.map(\.id))
    }

    /// The model never writes them, and a text that has one is rejected as any other with such a token.
    @Test func specialTokensBeyondTheVocabularyAreLeftOut() throws {
        let plain = try target(#"{"vocab_size": 4096}"#, generation: #"{"eos_token_id": 2}"#)
        let beyond = try target(#"{"vocab_size": 4096}"#, generation: #"{"eos_token_id": [2, 5000]}"#)
        #expect(plain.specialTokens == beyond.specialTokens && !plain.specialTokens.isEmpty)
    }

    /// Padding and images often have tokens that the embeddings lack: they cost the samples that have them alone.
    @Test func tokensBeyondTheVocabularyRejectOnlySamplesThatHaveThem() throws {
        let whole = try target(#"{"vocab_size": 4096}"#)
        let size = whole.tokenizer.vocabSize - 1
        let target = try target(#"{"vocab_size": \#(size)}"#)
        #expect(target.vocabSize == size && target.tokenizer.vocabSize == size + 1)
        let settings = SampleBuilder.Settings(maxLength: 40, minLossTokens: 0, vocabSize: size)
        let last = String(decoding: try target.tokenizer.decode([size]), as: UTF8.self)
        let rendering = try RenderSettings(dateString: nil, variables: nil, bosToken: nil, eosToken: nil)
        let format = try ChatFormat("qwen", ModelFiles(scratch.path), rendering)
        let builder = try SampleBuilder(target.tokenizer, format, TemplateFit(format), settings)
        func samples(_ text: String) throws(Rejection) -> [Sample] {
            try builder.samples(fromPreformatted: Array("<|im_start|>assistant\n\(text)<|im_end|>".utf8)).samples
        }
        #expect(try samples("a").count == 1)
        let rejection = Rejection(.badTokens, "token \(size) is not below the model's vocabulary, \(size)")
        #expect(throws: rejection) { try samples("a\(last)") }
        // What is cut off doesn't matter.
        #expect(try samples(String(repeating: "?!", count: 40) + last).count == 1)
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// The files beside a tokenizer, damaged: a model's texts are read, or an error names the file.
struct TokenizerConfigFuzzTests {
    @Test(arguments: ["tokenizer_config.json", "generation_config.json", "config.json"])
    func aDamagedFileIsAnErrorOrAModel(name: String) throws {
        let scratch = try ScratchDirectory()
        let folder = Fixtures.folder.appending(path: "tokenizers/tiny").path(percentEncoded: false)
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            try writeFile(scratch.file(file), readFile("\(folder)/\(file)"))
        }
        let sound: [UInt8]
        switch name {
        case "tokenizer_config.json": sound = try readFile("\(folder)/\(name)")
        case "generation_config.json": sound = Array(#"{"eos_token_id": [2, 0], "bos_token_id": 1, "top_p": NaN}"#.utf8)
        default: sound = Array(#"{"vocab_size": 4096, "model_type": "llama", "eos_token_id": -1}"#.utf8)
        }
        try writeFile(scratch.file(name), sound)
        let mutator = Mutator(words: ["[1, 2]", "4294967296", "NaN", "{\"content\": 5}", "\"</s>\"", "-1"])
        var (models, failures) = (0, 0)
        try Fuzzing("model-\(name)", iterations: 400).run { generator in
            try writeFile(scratch.file(name), mutator.mutate(sound, using: &generator))
            do {
                let files = try ModelFiles(scratch.path)
                let tokenizer = try Tokenizer(files)
                if let template = try ChatTemplate(files) {
                    #expect(!template.source.isEmpty || template.toolSource == nil)
                }
                let target = try TargetText(files, tokenizer, endOfTurn: nil)
                #expect(target.specialTokens.allSatisfy { 0..<Int32(target.vocabSize) ~= $0.id })
                _ = try target.identity()
                models += 1
            } catch {
                #expect("\(error)".contains(scratch.path), "\(error)")
                failures += 1
            }
        }
        #expect(models > 0 && failures > 0)
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Damaged GGUF files as models.
struct GGUFTextsFuzzTests {
    @Test func damagedFilesAreErrorsOrTokenizers() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("model.gguf")
        let bytes = (0..<256).map { byte in
            "<0x\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))>"
        }
        let tokens = ["<unk>", "▁", "a", "b", "ab", "▁ab", "é"] + bytes
        try GGUFWriter.write(
            path,
            [
                ("general.architecture", .string("llama")), ("tokenizer.ggml.model", .string("llama")),
                ("tokenizer.ggml.add_space_prefix", .bool(true)), ("tokenizer.ggml.bos_token_id", .int(0)),
                ("tokenizer.ggml.eos_token_id", .int(2)),
                ("tokenizer.chat_template", .string("{% for m in messages %}{{ m.content }}{% endfor %}")),
                ("tokenizer.ggml.scores", .array(tokens.indices.map { .double(-Double($0)) })),
                ("tokenizer.ggml.token_type", .array(tokens.indices.map { .int($0 == 0 ? 2 : $0 < 7 ? 1 : 6) })),
                ("tokenizer.ggml.tokens", .array(tokens.map(GGUFValue.string))),
            ])
        let whole = try readFile(path)
        let mutator = Mutator(words: ["gpt2", "llama", "tokenizer.ggml.pre", "\u{8}\u{0}\u{0}\u{0}", "▁"])
        var (tokenizers, failures) = (0, 0)
        try Fuzzing("gguf-texts", iterations: 400).run { generator in
            try writeFile(path, mutator.mutate(whole, using: &generator))
            do {
                let files = try ModelFiles(path)
                let tokenizer = try Tokenizer(files)
                _ = try tokenizer.decode(tokenizer.makeEncoder().ids("ab abé \u{1F642} <unk>"))
                _ = try ChatTemplate(files)
                _ = try TargetText(files, tokenizer, endOfTurn: "a")
                tokenizers += 1
            } catch {
                #expect("\(error)".contains("model.gguf"), "\(error)")
                failures += 1
            }
        }
        #expect(tokenizers > 0 && failures > 0)
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// What check-template finds in templates that can't be trusted.
struct TemplateProofTests {
    private let scratch: ScratchDirectory
    private let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)

    init() throws { scratch = try ScratchDirectory() }

    /// Proves a template of SmolLM2's tokenizer.
    private func failures(
        _ jinja: String, entry: String = "auto", isRowPerTurn: Bool = false
    ) throws -> [String] {
        let directory = scratch.file("model")
        try FileManager.default.copyItem(atPath: model, toPath: directory)
        try Data(jinja.utf8).write(to: URL(filePath: "\(directory)/chat_template.jinja"))
        let options = try ChatFormatOptions.parse(["--target-model-path", directory, "--chat-template", entry])
        let (format, target) = try options.load()
        return TemplateProof(format, TemplateFit(format), target, isRowPerTurn ? .row : .whole).failures.map {
            "\($0.what): \($0.detail)"
        }
    }

    private static let chatML =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

    @Test func aGoodTemplateHolds() throws {
        #expect(try failures(Self.chatML).isEmpty)
    }

    @Test func aFittingEntryHolds() throws {
        #expect(try failures(Self.chatML, entry: "qwen").isEmpty)
    }

    @Test func headersOfAnotherModelAreFound() throws {
        let found = try failures(Self.chatML, entry: "llama3")
        #expect(found.contains { $0.contains(#"assistant_header "<|start_header_id|>assistant"#) }, "\(found)")
        #expect(found.contains { $0.hasPrefix("every answer is supervised") })
    }

    @Test func aDoubledBOSIsFound() throws {
        let found = try failures("<|im_start|>" + Self.chatML)
        #expect(found.contains { $0.hasPrefix("the text doesn't begin with bos twice") }, "\(found)")
    }

    /// As of a base model, for which somebody names the template of another.
    @Test func anEndThatIsNoTokenIsNamed() throws {
        let base = scratch.file("base")
        let tokenizer = Fixtures.folder.appending(path: "tokenizers/gpt2").path(percentEncoded: false)
        try FileManager.default.copyItem(atPath: tokenizer, toPath: base)
        _ = try scratch.write("base/config.json", #"{"vocab_size": 60000, "eos_token_id": 900}"#)
        let entry = try scratch.write(
            "other.json",
            #"{"assistant_header": "<|assistant|>\n", "user_header": "<|user|>\n", "end_of_turn_token": "<|end|>\n"}"#)
        let options = try ChatFormatOptions.parse(["--target-model-path", base, "--chat-template", entry])
        let (format, target) = try options.load()
        let failures = TemplateProof(format, TemplateFit(format), target, .whole).failures.map(\.detail)
        let detail = #"they end with "<|end|>", which is no token of this model's tokenizer"#
        #expect(failures.contains { $0.hasSuffix(detail) }, "\(failures)")
    }

    @Test func anEndThatIsntSupervisedIsFound() throws {
        let jinja = Self.chatML.replacingOccurrences(
            of: "{{ m.content }}",
            with:
                "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}"
        )
        let found = try failures(jinja)
        #expect(found.count == 1 && found[0].hasPrefix("the end of each turn is supervised: 2 of 2"), "\(found)")
    }

    /// Thoughts only in the last turn, as Qwen3 writes them.
    private static let rewriting = chatML.replacingOccurrences(
        of: "{{ m.content }}",
        with: "{% if loop.last and m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}")

    @Test func aTemplateThatRewritesIsFound() throws {
        let found = try failures(Self.rewriting)
        #expect(found.count == 1 && found[0].contains("is written differently once others follow"), "\(found)")
    }

    @Test func aRowPerTurnIsNotRewritten() throws {
        #expect(try failures(Self.rewriting, isRowPerTurn: true).isEmpty)
    }

    @Test func whoNamesAnEntryIsOnlyWarned() throws {
        #expect(try failures(Self.rewriting, entry: "qwen").isEmpty)
    }

    @Test func aTemplateThatRefusesEverythingFails() throws {
        #expect(throws: TemplateError.self) { try failures("{{ raise_exception('never') }}") }
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Prompts for a target that answers them: which answers are asked for, and that their tokens are what it would read.
struct PromptBuilderTests {
    private static let llama =
        "{{ '<|im_start|>' }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content|trim }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    /// Leaves thoughts out of all but the last answer, as DeepSeek's and Qwen's do.
    private static let forgetful = TemplateModel.chatML.replacingOccurrences(
        of: "{{ m.content }}", with: "{{ m.content.split('</think>')[-1].lstrip('\\n') }}")
    /// Opens a block of thoughts in the generation prompt that earlier turns don't have.
    private static let opening = TemplateModel.chatML.replacingOccurrences(
        of: "<|im_start|>assistant\n{% endif %}", with: "<|im_start|>assistant\n<think>\n{% endif %}")
    /// Writes the system message with the last question, as Mistral's do.
    private static let moving =
        "{% for m in messages %}{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n{% if loop.last and messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

    private func prompt(
        _ model: TemplateModel, _ row: String, _ turns: PromptTurns = .all, maxLength: Int = 2048
    ) throws -> Sample {
        let builder = try PromptBuilder(
            model.target, model.format, .init(turns: turns, maxLength: maxLength))
        let parser = ConversationParser(isPreformatted: false, needsAnswer: false)
        let bytes = Array(row.utf8) + [UInt8](repeating: 0x20, count: JSONParser.padding)
        let made = try bytes.withUnsafeBytes { bytes in
            try builder.samples(
                from: parser.parse(padded: UnsafeRawBufferPointer(rebasing: bytes[..<row.utf8.count])))
        }
        #expect(made.samples.count == 1)
        return made.samples[0]
    }

    /// The texts before each answer.
    private func segments(_ model: TemplateModel, _ sample: Sample) throws -> [String] {
        var (texts, start) = ([String](), 0)
        for index in sample.inputIDs.indices where sample.lossMask[index] {
            texts.append(try model.text(sample.inputIDs[start...index]))
            start = index + 1
        }
        #expect(start == sample.inputIDs.count, "nothing follows the last answer")
        return texts
    }

    private static let talk =
        #"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}, {"role": "user", "content": "Two?"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "Three?"}]}"#

    @Test func asksForAllTheLastOrTheFirstAnswers() throws {
        let model = try TemplateModel(TemplateModel.chatML)
        let first = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n"
        func next(_ question: String) -> String {
            "\n<|im_start|>user\n\(question)<|im_end|>\n<|im_start|>assistant\n"
        }
        #expect(try segments(model, prompt(model, Self.talk)) == [first, next("Two?"), next("Three?")])
        #expect(try segments(model, prompt(model, Self.talk, .first)) == [first])
        #expect(
            try segments(model, prompt(model, Self.talk, .last)) == [
                first + "1<|im_end|>" + next("Two?") + "2<|im_end|>" + next("Three?")
            ])
        // What doesn't fit is left out from its turn on.
        let whole = try prompt(model, Self.talk)
        #expect(try segments(model, prompt(model, Self.talk, maxLength: whole.inputIDs.count - 1)).count == 2)
        #expect(throws: Rejection.self) { try prompt(model, Self.talk, maxLength: 3) }
    }

    /// What a target reads for each answer is what its template makes of the history, whatever it has answered.
    @Test(
        arguments: [TemplateModel.chatML, llama],
        ["2", "Well,\nit is: «7» <b>", "x " + String(repeating: "ha", count: 40)])
    func isWhatTheTemplateMakesOfTheTargetsOwnHistory(jinja: String, answer: String) throws {
        let model = try TemplateModel(jinja)
        let sample = try prompt(model, Self.talk)
        let encoder = model.target.tokenizer.makeEncoder()
        let renderer = try model.format.makeRenderer()
        var messages = [Message(.system, "Be brief."), Message(.user, "One?")]
        var (ids, start) = ([Int](), 0)
        for (number, end) in sample.lossMask.indices.filter({ sample.lossMask[$0] }).enumerated() {
            ids += sample.inputIDs[start...end].map(Int.init)
            start = end + 1
            var text = RenderedText()
            try renderer.render(Conversation(messages: messages), addGenerationPrompt: true, into: &text)
            #expect(try encoder.encode(text.bytes).ids == ids)
            messages += [Message(.assistant, answer), Message(.user, number == 0 ? "Two?" : "Three?")]
            ids += try encoder.ids(answer + "<|im_end|>")
        }
    }

    @Test func keepsWhatIsNotTheTargetsToAnswer() throws {
        let model = try TemplateModel(TemplateModel.chatML)
        let example =
            #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#
        #expect(
            try segments(model, prompt(model, example)) == [
                "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
            ])
        let call =
            #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}]}, {"role": "tool", "content": "7"}, {"role": "assistant", "content": "d"}, {"role": "user", "content": "e"}, {"role": "assistant", "content": "f"}]}"#
        #expect(try prompt(model, call).lossMask.count { $0 } == 2)
        // A question alone, and one of a kind that has no answer.
        #expect(try segments(model, prompt(model, #"{"messages": [{"role": "user", "content": "a"}]}"#)).count == 1)
        #expect(throws: Rejection.self) { try prompt(model, #"{"messages": [{"role": "assistant", "content": "a"}]}"#) }
        #expect(throws: Rejection.self) { try prompt(model, #"{"input_ids": [1], "loss_mask": [1]}"#) }
    }

    /// Where a template's text between answers depends on them, only single answers can be asked for.
    @Test(arguments: [forgetful, opening, moving])
    func refusesSeveralAnswersWhereTheTemplateRewritesThem(jinja: String) throws {
        let model = try TemplateModel(jinja)
        let rejection = #expect(throws: Rejection.self) { try prompt(model, Self.talk) }
        #expect(try #require(rejection).reason == .rewritten)
        #expect(try #require(rejection).detail.contains("--prompts last or first"))
        for turns in [PromptTurns.last, .first] {
            #expect(try prompt(model, Self.talk, turns).lossMask.count { $0 } == 1)
        }
    }

    @Test func aDatasetMayHaveBothKindsOfStores() throws {
        let model = try TemplateModel(TemplateModel.chatML)
        let scratch = try ScratchDirectory()
        let data = try scratch.write(
            "chats.jsonl", Self.talk + "\n" + #"{"messages": [{"role": "user", "content": "a"}]}"#)
        let cache = scratch.file("cache")
        func build(_ more: String...) throws -> SampleStore {
            let options = try BuildOptions.parse(
                ["--train-data-path", data, "--target-model-path", model.path, "--cache-dir", cache] + more)
            let session = try BuildSession(options)
            _ = try session.run(with: nil)
            return try SampleStore(reading: session.path)
        }
        let (samples, prompts) = (try build(), try build("--prompts", "all"))
        #expect(samples.path != prompts.path && prompts.count == 2 && samples.count == 1)
        #expect(try prompts.sample(at: 0) == prompt(model, Self.talk))
        #expect(prompts.manifest.draftVocabSizes.isEmpty)
        #expect(try StoreFigures(prompts).lines.contains { $0.contains("of prompts; 4 answers to make") })
        #expect(try build("--prompts", "first").manifest.counts.supervisedTokens == 2)
        #expect(try build().path == samples.path)
        #expect(throws: OptionsError.self) { try build("--prompts", "all", "--row-per-turn") }
        #expect(throws: OptionsError.self) { try build("--prompts", "all", "--draft-vocab-size", "300") }
    }

    /// Commands about a store know both kinds.
    @Test func commandsAreAboutEitherKind() throws {
        let model = try TemplateModel(TemplateModel.chatML)
        let scratch = try ScratchDirectory()
        let data = try scratch.write("chats.jsonl", Self.talk)
        func run(_ words: [String]) throws -> (code: Int32, output: String, errors: String) {
            try ProgramRun("Preprocess", words).finish()
        }
        func build(_ cache: String, _ more: String...) throws {
            let words = ["build", "--train-data-path", data, "--target-model-path", model.path, "--cache-dir", cache]
            try #require(try run(words + more).code == 0)
        }
        let (cache, other) = (scratch.file("cache"), scratch.file("other"))
        try build(cache)
        let inspect = ["inspect", "--cache-dir", cache, "--prompts"]
        #expect(try run(inspect).errors.contains("has no store of prompts"))
        try build(cache, "--prompts", "all")
        try build(other)
        try build(other, "--prompts", "first")
        #expect(try run(inspect).output.contains("of prompts"))
        let diff = ["diff", "--cache-dir", cache, "--train-data-path", data, "--other-cache-dir", other]
        #expect(try run(diff + ["--other-data-path", data]).code == 0)
        for name in [[], ["--other-data-path", data]] {
            let end = try run(diff + ["--prompts"] + name)
            #expect(end.code == 1 && end.output.contains("setting --prompts: all -> first"), "\(end)")
        }
        let verify = ["verify", "--cache-dir", cache, "--train-data-path"]
        let whole = try run(verify + [data])
        #expect(whole.code == 0 && whole.output.split(separator: "\n").count { $0.hasPrefix("whole: ") } == 2)
        let absent = try run(verify + [data + "x"])
        #expect(absent.code == 1 && absent.errors.contains("has no store of "))
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Thoughts that are saved, stripped or switched off where prompts are built for a target: over all published templates.
struct AnswerReasoningTests {
    /// The special tokens of these templates, from the tokenizer's fourth on.
    private static let tokens = [
        "<think>", "</think>", "<|user|>", "<|assistant|>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "[e~[",
        "<turn|>", "<|turn>", "<|channel>", "<channel|>", "<|role_end|>", "<|end_of_text|>",
    ]
    private static let ends = [2, 5, 7, 10, 11, 15, 16]

    private static func model(_ name: String, without tokens: [String] = []) throws -> TemplateModel {
        let tokens = name.hasPrefix("gemma") ? ["<think>", "</think>"] : tokens
        let path = Fixtures.folder.appending(path: "chat_templates/\(name).jinja").path(percentEncoded: false)
        let renamed = Self.tokens.map { tokens.contains($0) ? "<|other \($0.count)|>" : $0 }
        return try TemplateModel(String(contentsOfFile: path, encoding: .utf8), ends: Self.ends, renaming: renamed)
    }

    private static let questions = ["Is it so?", "And that one?", "Why?"]

    private static func row(_ questions: [String]) throws -> SourceRow {
        let messages = questions.map { #"{"role": "user", "content": "\#($0)"}"# }
        return try parseRow(
            #"{"messages": [\#(messages.joined(separator: #", {"role": "assistant", "content": "-"}, "#))]}"#)
    }

    private static func format(_ model: TemplateModel, _ reasoning: AnswerReasoning) throws -> ChatFormat {
        reasoning == .off ? try model.format.withoutThoughts() : model.format
    }

    /// What a target with these thoughts, or none, reads for each question, and what its answers become.
    ///
    /// - Returns: How many answers were asked for; nil if thoughts can't be treated so, or the record is rejected.
    private static func follow(
        _ name: String, _ model: TemplateModel, _ reasoning: AnswerReasoning, _ turns: PromptTurns, thoughts: String?
    ) throws -> Int? {
        let builder: PromptBuilder
        let format: ChatFormat
        let sample: Sample
        do {
            format = try Self.format(model, reasoning)
            builder = try PromptBuilder(model.target, format, .init(turns: turns, reasoning: reasoning))
            sample = try builder.samples(from: row(questions)).samples[0]
        } catch {
            return nil
        }
        let renderer = try format.makeRenderer()
        let encoder = model.target.tokenizer.makeEncoder()
        let (history, answer) = (builder.history, "Certainly:\nit is.")
        var (context, start, messages) = ([Int32](), 0, [Message]())
        let marks = sample.lossMask.indices.filter { sample.lossMask[$0] }
        for (number, mark) in marks.enumerated() {
            // What the target writes: thoughts, unless there are none, its answer and an end token.
            let isOpen = history.thoughts?.isOpen ?? false
            let (open, close) = name.hasPrefix("gemma") ? ("<|channel>thought", "<channel|>") : ("<think>", "</think>")
            // Thoughts that the prompt has begun are ended, if there are none.
            let block = isOpen || thoughts != nil ? (isOpen ? "" : open) + "\n\(thoughts ?? "")\n\(close)\n\n" : ""
            let segment = sample.inputIDs[start...mark]
            let first = turns == .last ? questions.count : number + 1
            messages = []
            for question in questions[..<first] {
                let earlier = turns == .last ? "-" : (reasoning.keepsThoughts ? block : "") + answer
                messages += messages.isEmpty ? [] : [Message(.assistant, earlier)]
                messages.append(Message(.user, question))
            }
            var text = RenderedText()
            try renderer.render(Conversation(messages: messages), addGenerationPrompt: true, into: &text)
            let read = context + segment
            let shown = try model.text(read)
            #expect(
                try encoder.encode(text.bytes).ids == read.map { Int($0) },
                "\(name) \(reasoning): prompt \(number), \(shown)")
            let end = try #require(Self.end(of: name, model))
            let written = try encoder.ids(block + answer).map { Int32($0) } + [end]
            let kept = history.answer(written, isFinished: true)
            if reasoning.keepsThoughts {
                #expect(kept == written)
            } else {
                #expect(try kept == encoder.ids(answer).map { Int32($0) } + [end], "\(name) \(reasoning)")
            }
            #expect(written.suffix(kept.count).elementsEqual(kept), "tokens that the target wrote")
            context += history.prompt(segment) + kept
            start = mark + 1
        }
        return marks.count
    }

    private static func end(of name: String, _ model: TemplateModel) -> Int32? {
        let texts = [
            "deepseek": "<｜end▁of▁sentence｜>", "glm": "<|user|>", "minimax": "[e~[", "gemma": "<turn|>",
            "ling": "<|role_end|>",
        ]
        let own = texts.first { name.hasPrefix($0.key) }?.value ?? "<|im_end|>"
        return model.target.tokenizer.id(of: own)
    }

    /// Templates that think, and of which of the words several answers can be made in tokens.
    ///
    /// `save` needs a template that leaves thoughts in earlier turns.
    private static let thinkers: [(name: String, several: Set<AnswerReasoning>)] = [
        ("qwen3", [.strip, .off]), ("qwen3-hub", [.strip, .off]), ("qwen3.5", [.strip, .off]),
        ("glm-4.6", [.strip, .off]), ("glm-4.7-flash", [.strip, .off]), ("smollm3", [.save, .strip, .off]),
        ("deepseek-v3.1", [.strip, .off]), ("gemma-4", [.strip, .off]), ("ling-3.0-flash", [.strip, .off]),
        // Without a switch.
        ("deepseek-r1", [.strip]), ("minimax-m2", [.strip]), ("qwq-32b-hub", [.strip]),
    ]

    /// Each prompt is what the template makes of the history, which has no thoughts unless they are saved, and all tokens
    /// of answers that stay are the target's own.
    @Test(arguments: thinkers)
    func eachPromptIsWhatTheTemplateMakesOfTheHistory(name: String, several: Set<AnswerReasoning>) throws {
        let model = try Self.model(name)
        for reasoning in AnswerReasoning.allCases {
            let isSwitch = reasoning == .off
            if isSwitch, !several.contains(.off) {
                let error = #expect(throws: TemplateError.self) { try model.format.withoutThoughts() }
                #expect(error?.description.contains("no switch for thoughts") ?? false)
                continue
            }
            for thoughts in [nil, "Hm."] where !(isSwitch && thoughts != nil) {
                let count = try Self.follow(name, model, reasoning, .all, thoughts: thoughts)
                #expect(count == (several.contains(reasoning) ? 3 : nil), "\(name) \(reasoning)")
            }
            #expect(try Self.follow(name, model, reasoning, .last, thoughts: nil) == 1, "\(name) \(reasoning)")
        }
    }

    @Test func thoughtsThatCannotBeToldAreNotStripped() throws {
        // gpt-oss thinks in messages of their own, and this tokenizer has no token that ends thoughts.
        for (name, without) in [("gpt-oss", ["</think>", "<channel|>"]), ("qwen3", ["</think>", "<channel|>"])] {
            let model = try Self.model(name, without: without)
            let error = #expect(throws: TemplateError.self) {
                try PromptBuilder(model.target, model.format, .init(reasoning: .strip))
            }
            #expect(error?.description.contains("has none of the tokens that end thoughts") ?? false)
        }
    }

    @Test func whatIsGivenIsNotSwitched() throws {
        let path = Fixtures.folder.appending(path: "chat_templates/qwen3.jinja").path(percentEncoded: false)
        let jinja = try String(contentsOfFile: path, encoding: .utf8)
        let model = try TemplateModel(jinja, ["--chat-template-kwargs", #"{"enable_thinking": true}"#])
        #expect(try model.format.withoutThoughts().digest == model.format.digest)
        let plain = try TemplateModel(jinja)
        let off = try TemplateModel(jinja, ["--chat-template-kwargs", #"{"enable_thinking": false}"#])
        #expect(try plain.format.withoutThoughts().digest == off.format.digest)
        // A template that is told how hard to think names what it reads.
        let oss = try TemplateModel(
            String(
                contentsOfFile: Fixtures.folder.appending(path: "chat_templates/gpt-oss.jinja").path(
                    percentEncoded: false), encoding: .utf8))
        let error = #expect(throws: TemplateError.self) { try oss.format.withoutThoughts() }
        #expect(error?.description.contains("reasoning_effort") ?? false)
    }

    /// What is built says how its answers stand, and survives the store.
    @Test func theStoreKnowsWhatStays() throws {
        let model = try Self.model("qwen3")
        let scratch = try ScratchDirectory()
        let data = try scratch.write("chats.jsonl", #"{"messages": [{"role": "user", "content": "a"}]}"# + "\n")
        func store(_ more: String...) throws -> StoreManifest {
            let options = try BuildOptions.parse(
                [
                    "--train-data-path", data, "--target-model-path", model.path, "--cache-dir", scratch.file("cache"),
                    "--prompts", "all",
                ] + more)
            let session = try BuildSession(options)
            _ = try session.run(with: nil)
            return try SampleStore(reading: session.path).manifest
        }
        let saved = try store()
        #expect(saved.answerHistory == .whole)
        let stripped = try store("--reasoning", "strip").answerHistory
        #expect(stripped.removed.isEmpty && stripped.includesLast && stripped.thoughts?.isOpen == false)
        #expect(stripped.thoughts.map { ($0.start, $0.end) } ?? (0, 0) == (3, 4))
        let off = try store("--reasoning", "off")
        #expect(!off.answerHistory.removed.isEmpty && !off.answerHistory.includesLast)
        #expect(off.changes(to: saved).contains { $0.contains("--reasoning") })
        #expect(throws: OptionsError.self) {
            try BuildOptions.parse(
                [
                    "--train-data-path", data, "--target-model-path", model.path, "--cache-dir", "c", "--reasoning",
                    "strip",
                ])
        }
    }

    /// What stays of an answer in tokens is what stays of it in text from a server.
    @Test(arguments: [
        "<think>\nHm.\n</think>\n\nYes.", "Yes.", "<think>\nHm.", "<think></think>Yes. </think> no",
        "\n<think>a</think>\n \n",
        "Yes <think> no", "</think>  \t Yes.\n", "<think>a</think>\n\n  code",
    ])
    func tokensAndTextOfAServerAreStrippedAlike(answer: String) throws {
        let model = try Self.model("qwen3")
        let history = try PromptBuilder(model.target, model.format, .init(reasoning: .strip)).history
        let ids = try model.target.tokenizer.makeEncoder().ids(answer).map { Int32($0) }
        let response = try JSONFile(
            contents: Array(
                #"{"choices": [{"message": {"content": \#(JSONText.quoted(answer))}, "finish_reason": "stop"}], "usage": {"completion_tokens": 1}}"#
                    .utf8), path: "response")
        let served = try ChatAnswer(response.root.value, .strip)
        let text = try model.text(history.answer(ids, isFinished: false))
        // A token may have white space and other text, and isn't divided.
        #expect(
            text.drop(while: \.isWhitespace)
                == String(decoding: served.message.content, as: UTF8.self).drop(while: \.isWhitespace))
        #expect(Answer(ids: ids + [2], isFinished: true, history).isEmpty == served.answer.isEmpty)
    }
}

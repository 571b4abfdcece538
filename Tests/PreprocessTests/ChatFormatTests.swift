import Foundation
import Jinja
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// A model's own template: found, rendered, and the assistant's turns in it.
struct ChatFormatTests {
    static let templates: [String] = {
        let folder = Fixtures.folder.appending(path: "chat_templates").path(percentEncoded: false)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().map { "\(folder)/\($0)" }
    }()

    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func settings(_ variables: String? = nil) throws -> RenderSettings {
        try RenderSettings(dateString: nil, variables: variables, bosToken: "<s>", eosToken: "</s>")
    }

    private func render(
        _ format: ChatFormat, _ conversation: Conversation = TurnProbe.conversation()
    ) throws -> (text: String, spans: [String]) {
        var text = RenderedText()
        try format.makeRenderer().render(conversation, into: &text)
        return (
            String(decoding: text.bytes, as: UTF8.self),
            text.assistantSpans.map { String(decoding: text.bytes[$0], as: UTF8.self) }
        )
    }

    private func template(_ text: String) throws -> ChatFormat {
        try ChatFormat(try scratch.write("t.jinja", text), ModelFiles(scratch.path), settings())
    }

    /// Every published template's turns are found without rendering twice, and are what rendering up to each turn gives
    /// wherever the template lets that be told.
    @Test(arguments: templates)
    func turnsAreWhatTheyAddToTheText(path: String) throws {
        let format = try ChatFormat(path, ModelFiles(scratch.path), settings())
        let (text, spans) = try render(format)
        #expect(spans.count == 2)
        for (span, answer) in zip(spans, TurnProbe.answers) {
            #expect(span.contains(answer) && !span.contains("Really?") && !span.contains("Hi"), "\(span)")
        }
        guard case .own(let template) = format.text else { return }
        let slow = try JinjaRenderer(template, settings(), form: format.form, marking: .prefixes)
        var expected = RenderedText()
        do {
            try slow.render(TurnProbe.conversation(), into: &expected)
        } catch {
            // It writes earlier turns differently, or asks for another beginning than it writes.
            #expect(error.description.contains("rewrites"), "\(error)")
            return
        }
        let slowly = expected.assistantSpans.map { String(decoding: expected.bytes[$0], as: UTF8.self) }
        // What a template writes after the last of its messages, as Phi-3.5's eos, isn't told from the last turn.
        #expect(slowly.dropLast() == spans.dropLast() && slowly[1].hasPrefix(spans[1]), "\(slowly)")
        #expect(String(decoding: expected.bytes, as: UTF8.self) == text)
    }

    @Test func generationTagsComeFirst() throws {
        let format = try template(
            "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}{% generation %}{{ m.content }}!{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
        )
        #expect(try render(format).spans == ["Certainly!", "Indeed!"])
        #expect(format.description.contains("generation tags"))
        #expect(throws: TemplateError.self) {
            try render(template("{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}"))
        }
    }

    /// A template whose loop isn't over the messages: each turn is found by rendering up to it.
    @Test func turnsAreFoundWhereLoopsDontTell() throws {
        let format = try template(
            "{% for i in range(messages|length) %}<{{ messages[i].role }}>{{ messages[i].content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
        )
        #expect(format.description.contains("rendering up to each turn"))
        #expect(try render(format).spans == ["Certainly</>", "Indeed</>"])
    }

    @Test func thoughtsOpenedByThePromptArentSupervisedTwice() throws {
        let format = try template(
            "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' and loop.last %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant><think>{% endif %}"
        )
        var talk = TurnProbe.conversation()
        talk.messages[3].reasoning = Array("hm".utf8)
        #expect(try render(format, talk).spans == ["Certainly", "hm</think>Indeed"])
    }

    @Test func aDirectorysTemplateIsFound() throws {
        #expect(try ChatTemplate(ModelFiles(scratch.path)) == nil)
        #expect(throws: TemplateError.self) {
            try ChatFormat("auto", ModelFiles(scratch.path), settings())
        }
        _ = try scratch.write(
            "tokenizer_config.json",
            #"{"pad_token": {"content": "<p>"}, "chat_template": [{"name": "default", "template": "{{ pad_token }}{% for m in messages %}{{ m.content }}{% endfor %}"}, {"name": "tool_use", "template": "{{ tools|tojson }}"}]}"#
        )
        let named = try ChatFormat("auto", ModelFiles(scratch.path), settings())
        #expect(try render(named).text == "<p>HiCertainlyReally?Indeed")
        var talk = TurnProbe.conversation()
        talk.tools = .array([.object([("name", .string("é"))])])
        #expect(try render(named, talk).text == #"[{"name": "é"}]"#)

        _ = try scratch.write("chat_template.jinja", "{% for m in messages %}[{{ m.content }}]{% endfor %}")
        let file = try ChatFormat("auto", ModelFiles(scratch.path), settings())
        #expect(try render(file).text == "[Hi][Certainly][Really?][Indeed]")
        #expect(named.digest != file.digest)
    }

    @Test func namesWithoutADefaultAreRefused() throws {
        _ = try scratch.write("tokenizer_config.json", #"{"chat_template": [{"name": "rag", "template": "x"}]}"#)
        #expect {
            try ChatTemplate(ModelFiles(scratch.path))
        } throws: {
            "\($0)".contains("names none of its templates 'default', but rag")
        }
    }

    @Test func datesAndVariablesReachTheTemplate() throws {
        let path = try scratch.write(
            "t.jinja",
            "{{ strftime_now('%d %b %Y') }} {{ date_string }} {{ enable_thinking }}{% for m in messages %}{{ m.content }}{% endfor %}"
        )
        func start(_ date: String?, _ variables: String?) throws -> String {
            let settings = try RenderSettings(
                dateString: date, variables: variables, bosToken: nil, eosToken: nil)
            return try render(ChatFormat(path, ModelFiles(scratch.path), settings)).text
        }
        #expect(try start(nil, nil).hasPrefix("26 Jul 2024  Hi"))
        #expect(try start("01 Feb 2025", #"{"enable_thinking": false}"#).hasPrefix("01 Feb 2025 01 Feb 2025 FalseHi"))
        #expect(try start("2025-02-01", nil).hasPrefix("01 Feb 2025 2025-02-01"))
        #expect(throws: OptionsError.self) { try start("soon", nil) }
        #expect(throws: OptionsError.self) { try start(nil, "[]") }
    }

    @Test func aRefusalSaysWhere() throws {
        let format = try template(
            "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m.content }}{% endfor %}"
        )
        #expect(throws: TemplateError("t.jinja: no system")) {
            try render(format, TurnProbe.conversation(systemPrompt: "x"))
        }
        #expect {
            try template("{% for m in messages %}\n{{ m. }}{% endfor %}")
        } throws: {
            "\($0)".contains("t.jinja:2:")
        }
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// The form in which each template gets messages: thoughts under the name that it reads, content as it writes it, tools.
struct MessageFormTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func render(_ format: ChatFormat, _ record: String) throws -> String {
        guard case .conversation(let conversation) = try parseRow(record).content else { return "" }
        var text = RenderedText()
        try format.makeRenderer().render(conversation, into: &text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    private func format(_ jinja: String) throws -> ChatFormat {
        let settings = try RenderSettings(dateString: nil, variables: nil, bosToken: "<s>", eosToken: "</s>")
        return try ChatFormat(scratch.write("t.jinja", jinja), ModelFiles(scratch.path), settings)
    }

    private static func record(_ key: String) -> String {
        #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "\#(key)": "Because"}]}"#
    }

    /// Whatever name the data have for thoughts, each published template writes the same, and no thought twice.
    @Test(arguments: ChatFormatTests.templates)
    func thoughtsOfEveryNameAreTheSame(path: String) throws {
        let settings = try RenderSettings(dateString: nil, variables: nil, bosToken: "<s>", eosToken: "</s>")
        let format = try ChatFormat(path, ModelFiles(scratch.path), settings)
        let texts = try Reasoning.keys.map { try render(format, Self.record($0)) }
        #expect(Set(texts).count == 1)
        #expect(texts[0].components(separatedBy: "Because").count <= 2, "\(texts[0])")
        let source = try String(contentsOfFile: path, encoding: .utf8)
        #expect(format.form.reasoningKey == (source.contains("message.thinking") ? "thinking" : "reasoning_content"))
        #expect(!format.form.contentIsParts && !format.form.needsTools)
    }

    @Test func publishedTemplatesOfThinkersWriteThoughts() throws {
        let settings = try RenderSettings(dateString: nil, variables: nil, bosToken: "<s>", eosToken: "</s>")
        let written = try ChatFormatTests.templates.filter { path in
            let format = try ChatFormat(path, ModelFiles(scratch.path), settings)
            return try render(format, Self.record("reasoning")).contains("Because")
        }
        let names = written.compactMap { $0.split(separator: "/").last?.dropLast(".jinja".count) }
        #expect(
            Set(names) == [
                "glm-4.6", "glm-4.7-flash", "gpt-oss", "ling-3.0-flash", "minimax-m2", "qwen3", "qwen3-hub", "qwen3.5",
            ])
    }

    @Test(arguments: [
        ("{{ m.reasoning }}{{ m.reasoning_content }}", "Because"),
        ("{{ m['thinking'] }}", "Because"), ("{{ m.get('reasoning', '') }}", "Because"),
        ("{{ m.reasoning_content or m.reasoning or m.thinking }}", "Because"),
        // Named, but only to be removed.
        ("{% if m.reasoning_content %}{% endif %}{{ m.reasoning }}", "Because"), ("{{ m.thoughts }}", ""),
    ])
    func aTemplateGetsThoughtsOnce(expression: String, written: String) throws {
        let format = try format(
            "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}\(expression){% endif %}|{{ m.content }}{% endfor %}"
        )
        for key in Reasoning.keys {
            #expect(try render(format, Self.record(key)) == "<user>|q<assistant>\(written)|a")
        }
    }

    @Test func contentIsPartsWhereNoStringIsWritten() throws {
        let parts = "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
        for content in [parts, "{{ m.content[0].text }}", "{{ m.content|map(attribute='text')|join }}"] {
            let format = try format("{% for m in messages %}<{{ m.role }}>\(content)</>{% endfor %}")
            #expect(format.form.contentIsParts, "\(content)")
            #expect(try render(format, Self.record("x")) == "<user>q</><assistant>a</>")
        }
        let both = try format(
            "{% for m in messages %}{% if m.content is string %}s:{{ m.content }}{% else %}\(parts){% endif %}{% endfor %}"
        )
        #expect(try render(both, Self.record("x")) == "s:qs:a")
    }

    @Test func templatesThatNeedToolsAreProbedWithTools() throws {
        let jinja = "{% for t in tools %}[{{ t.function.name }}]{% endfor %}" + TemplateModel.chatML
        for needing in [jinja, "{% if not tools %}{{ raise_exception('no tools') }}{% endif %}" + TemplateModel.chatML]
        {
            let model = try TemplateModel(needing)
            #expect(model.format.form.needsTools)
            let proof = model.proof()
            #expect(proof.failures.isEmpty, "\(proof.text)")
            #expect(proof.findings.contains { $0.verdict == .warning && $0.detail.contains("only with tools") })
            let tools = #""tools": [{"type": "function", "function": {"name": "f"}}]"#
            #expect(try model.supervised("\(Self.record("x").dropLast()), \(tools)}") == ["a<|im_end|>\n"])
            #expect(throws: Rejection.self) { try model.supervised(Self.record("x")) }
        }
    }

    /// After a tool's output some templates write no header, so that the answer begins where the output ends.
    @Test func answersToToolsAreFoundWithoutAHeader() throws {
        let jinja =
            "{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>tool\n{{ m.content }}<|im_end|>\n{% elif m.role == 'assistant' %}{% if loop.previtem.role != 'tool' %}<|im_start|>assistant\n{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}<|im_end|>\n{% else %}<|im_start|>user\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt and messages[-1].role != 'tool' %}<|im_start|>assistant\n{% endif %}"
        let model = try TemplateModel(jinja)
        let call = #"{"type": "function", "function": {"name": "f", "arguments": {}}}"#
        let row =
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [\#(call)]}, {"role": "tool", "content": "1"}, {"role": "assistant", "content": "b"}]}"#
        #expect(try model.supervised(row) == ["f<|im_end|>\nb<|im_end|>\n"])
        #expect(model.proof().text.contains("ok      calls of tools"), "\(model.proof().text)")
    }

    @Test func thoughtsThatNoNameCanHoldAreRefused() throws {
        func detail(_ fields: String) -> String? {
            do {
                _ = try parseRow(
                    #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", \#(fields)}]}"#
                )
                return nil
            } catch {
                return error.detail
            }
        }
        #expect(detail(#""thinking": true"#) == "message 1 has a 'thinking' that is a boolean, should be a string")
        #expect(
            detail(#""thinking": "x", "reasoning": "y""#)
                == "message 1 has different texts in 'reasoning' and 'thinking'")
        #expect(detail(#""thinking": "x", "reasoning": "x", "reasoning_content": null"#) == nil)
        #expect(detail(#""thinking": "", "reasoning": "x""#) == nil)
    }

    @Test func anEntryThatWritesTextRefusesThoughts() throws {
        let renderer = try TemplateRenderer(TemplateRegistry.named("chatml"), bosToken: nil, eosToken: nil)
        var talk = TurnProbe.conversation()
        talk.messages[1].reasoning = Array("hm".utf8)
        var text = RenderedText()
        #expect(throws: TemplateError.self) { try renderer.render(talk, into: &text) }
    }
}

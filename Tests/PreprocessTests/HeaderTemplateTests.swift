import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct HeaderTemplateTests {
    /// A template against the model's own, which transformers rendered.
    struct Case: CustomTestStringConvertible {
        let template: String
        let jinja: String
        /// What the model's template says where the data has no system message.
        let systemPrompt: String?

        var testDescription: String { "\(template) as \(jinja)" }
    }

    static let cases = [
        Case(
            template: "qwen", jinja: "smollm2",
            systemPrompt: "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
        Case(
            template: "qwen", jinja: "qwen2.5",
            systemPrompt: "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
        Case(template: "chatml", jinja: "chatml", systemPrompt: nil),
        Case(template: "llama3", jinja: "llama-3.1", systemPrompt: ""),
        Case(template: "llama3", jinja: "llama-3.2", systemPrompt: ""),
        Case(template: "llama3", jinja: "llama-3.3", systemPrompt: ""),
        Case(template: "llama4", jinja: "llama-4", systemPrompt: nil),
        Case(template: "phi3", jinja: "phi-3.5", systemPrompt: nil),
        Case(template: "phi4", jinja: "phi-4", systemPrompt: nil),
    ]

    @Test(arguments: cases)
    func renderingEqualsTheModelsOwnTemplate(_ example: Case) throws {
        let file = try Gzip.json(Fixtures.goldens.appending(path: "text/chat_templates.json.gz"))
        let conversations = try #require(file.root.value["conversations"]).elements
        let expected = Array(try #require(file.root.value["templates"]?["\(example.jinja).jinja"]).elements)
        var template = try TemplateRegistry.named(example.template)
        template.systemPrompt = example.systemPrompt
        let renderer = try TemplateRenderer(template, bosToken: "<BOS>", eosToken: "<EOS>")
        var text = RenderedText()
        var compared = 0
        for (i, value) in conversations.enumerated() where value["tools"] == nil {
            let conversation = try ConversationReader().conversation(value)
            try renderer.render(
                conversation, addGenerationPrompt: value["add_generation_prompt"]?.bool ?? false, into: &text)
            #expect(String(decoding: text.bytes, as: UTF8.self) == expected[i]["rendered"]?.string, "conversation \(i)")
            compared += 1
        }
        #expect(compared == 11)
    }

    @Test(arguments: TemplateRegistry.templates.filter(\.rendersText))
    func spansAreTheAnswersWithTheirEndOfTurn(_ template: HeaderTemplate) throws {
        let conversation = Conversation(messages: [
            Message(role: .user, content: Array("Hi".utf8)), Message(role: .assistant, content: Array("Hello!".utf8)),
            Message(role: .user, content: Array("Bye".utf8)), Message(role: .assistant, content: []),
        ])
        let renderer = try TemplateRenderer(template, bosToken: "<s>", eosToken: "</s>")
        var text = RenderedText()
        try renderer.render(conversation, into: &text)
        let spans = text.assistantSpans.map { String(decoding: text.bytes[$0], as: UTF8.self) }
        #expect(spans == ["Hello!" + template.endOfTurnToken, template.endOfTurnToken])

        let rendered = text.assistantSpans
        AssistantSpanFinder(template).findTurns(in: &text)
        if template.endsWithEOS {
            // What was rendered elsewhere goes on to the end where no header follows.
            #expect(text.assistantSpans.dropLast() == rendered.dropLast())
        } else {
            #expect(text.assistantSpans == rendered)
        }
    }

    private static let spans = Result { try Gzip.json(Fixtures.folder.appending(path: "text/registry-spans.json.gz")) }

    /// Of texts with an entry's headers, what SpecForge supervises of them.
    @Test(arguments: TemplateRegistry.templates.filter { $0.name != "chatml" })
    func spansInOtherTextAreSpecForges(_ template: HeaderTemplate) throws {
        let rows = try #require(Self.spans.get().root[template.name], "fixtures/generate/registry_spans.py lacks it")
            .elements
        for row in rows {
            var text = RenderedText()
            text.bytes = Array(try row.string("text").utf8)
            AssistantSpanFinder(template).findTurns(in: &text)
            func string(_ range: Range<Int>) -> String { String(decoding: text.bytes[range], as: UTF8.self) }
            let expected = try row.required("spans").elements.map { ends in
                let ends = ends.elements.compactMap(\.value.int)
                let span = string(ends[0]..<ends[1])
                // SpecForge's turns of LongCat reach into the next header.
                return span.hasSuffix("[Round 1] USER:") ? String(span.dropLast("[Round 1] USER:".count)) : span
            }
            #expect(
                text.supervisedSpans(onlyLastTurn: false).filter { !$0.isEmpty }.map(string) == expected,
                "\(string(0..<text.bytes.count))")
        }
        #expect(rows.count >= 5)
    }

    @Test func missingTokensAndRolesAreErrors() throws {
        #expect(
            throws: TemplateError(
                "template 'llama3' begins with the bos token, and tokenizer_config.json has no 'bos_token'")
        ) {
            try TemplateRenderer(TemplateRegistry.named("llama3"), bosToken: nil, eosToken: nil)
        }
        let renderer = try TemplateRenderer(TemplateRegistry.named("qwen"), bosToken: nil, eosToken: nil)
        var text = RenderedText()
        #expect(throws: TemplateError("template 'qwen' has no header for role tool")) {
            try renderer.render(Conversation(messages: [Message(role: .tool, content: [])]), into: &text)
        }
    }

    @Test func entriesThatOnlyMarkAreNoRenderers() throws {
        for template in TemplateRegistry.templates where !template.rendersText {
            #expect(throws: TemplateError.self) { try TemplateRenderer(template, bosToken: "<s>", eosToken: "</s>") }
        }
        let renderer = try TemplateRenderer(TemplateRegistry.named("qwen"), bosToken: nil, eosToken: nil)
        var text = RenderedText()
        let tools = Conversation(messages: [Message(.user, "x")], tools: .array([.string("t")]))
        #expect(throws: TemplateError.self) { try renderer.render(tools, into: &text) }
    }

    /// SpecForge 0.2.0's registry, name by name.
    @Test func theRegistryHasWhatSpecForgeHas() throws {
        let names = [
            "llama3", "llama4", "qwen", "lfm", "phi3", "phi4", "phi4-mini", "gpt-oss-naive", "gpt-oss",
            "deepseek-r1-distill", "qwen3-thinking", "qwen3-instruct", "qwen3-next-thinking", "kimi-k2-thinking",
            "kimi-k2-instruct", "kimi-k3-thinking", "deepseek-v3", "deepseek-v2", "ling-flash-2.0", "deepseek-v32",
            "glm-5.2", "gemma", "longcat", "longcat_xml", "qwen3.5", "inkling-thinking",
        ]
        #expect(Set(TemplateRegistry.names) == Set(names + ["chatml"]))
        #expect(try TemplateRegistry.named("qwen3.5").templateVariables.map(\.0) == ["enable_thinking"])
        #expect(try TemplateRegistry.named("glm-5.2").templateVariables.map(\.1) == [false])
    }

    @Test func everyBuiltInSurvivesItsJSON() throws {
        for template in TemplateRegistry.templates {
            let file = try JSONFile(contents: Array(template.json.pretty.utf8), path: "t.json")
            #expect(try HeaderTemplate(file.root, name: template.name) == template)
        }
        #expect(Set(TemplateRegistry.templates.map(\.digest)).count == TemplateRegistry.templates.count)
    }

    @Test func specForgesFieldsAreEnough() throws {
        let scratch = try ScratchDirectory()
        let path = try scratch.write(
            "mine.json",
            """
            {"assistant_header": "<|start_header_id|>assistant<|end_header_id|>\\n\\n",
             "user_header": "<|start_header_id|>user<|end_header_id|>", "system_prompt": "Be kind.",
             "end_of_turn_token": "<|eot_id|>", "parser_type": "general", "enable_thinking": false}
            """)
        let template = try TemplateRegistry.resolve(path)
        #expect(template.name == "mine")
        #expect(template.userHeader == "<|start_header_id|>user<|end_header_id|>\n\n")
        #expect(template.systemHeader == "<|start_header_id|>system<|end_header_id|>\n\n")
        #expect(template.endOfTurnText == "<|eot_id|>")
        #expect(try TemplateRegistry.named("qwen").endOfTurnText == "<|im_end|>")
    }

    @Test(arguments: [
        (
            #"{"asistant_header": ""}"#,
            "key 'asistant_header' is no field of a template; did you mean 'assistant_header'?"
        ),
        (#"{"user_header": "u", "end_of_turn_token": "e"}"#, "key 'assistant_header' is missing"),
        (#"{"assistant_header": "a", "user_header": "", "end_of_turn_token": "e"}"#, "key 'user_header' is empty"),
        (
            #"{"parser_type": "thinker"}"#,
            "key 'parser_type' 'thinker' is not supported; supported: general, thinking, glm, openai-harmony"
        ),
        (#"{"begins_with_bos": "yes"}"#, "key 'assistant_header' is missing"),
        ("[]", "should be an object"),
    ])
    func wrongFilesAreRefused(json: String, message: String) throws {
        let scratch = try ScratchDirectory()
        let path = try scratch.write("mine.json", json)
        #expect {
            try TemplateRegistry.resolve(path)
        } throws: { error in
            "\(error)".contains(path) && "\(error)".contains(message)
        }
    }

    @Test(arguments: [
        ("qwem", "did you mean 'qwen'?"), ("nowhere/x.json", "nowhere/x.json: can't open"),
    ])
    func unknownTemplatesAreRefused(argument: String, message: String) {
        #expect {
            try TemplateRegistry.resolve(argument)
        } throws: { error in
            "\(error)".contains(message)
        }
    }
}

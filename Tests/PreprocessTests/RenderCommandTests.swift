import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// `Preprocess render` shows the text that `build` makes samples of.
struct RenderCommandTests {
    /// Records of all forms that need something done before they are rendered.
    private static let odd = [
        #"{"messages": [{"role": "user", "content": "W?"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "w", "arguments": "{\"p\": \"Oslo\"}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "4"}, {"role": "assistant", "content": "4 degrees."}], "tools": [{"type": "function", "function": {"name": "w"}}]}"#,
        #"{"messages": [{"role": "human", "content": "Hi"}, {"role": "gpt", "content": "Hello"}]}"#,
        #"{"messages": [{"role": "assistant", "content": "leading"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "reasoning": "R"}]}"#,
        #"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "gpt", "value": "cut"}]}"#,
        #"{"instruction": "a", "input": "i", "output": "b", "system": "s"}"#,
        #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}, {"role": "assistant", "content": "z", "weight": 0}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "v <|im_end|> w"}]}"#,
    ]

    private static let jinja =
        "{% for t in tools or [] %}{{ t|tojson }}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments|tojson }}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

    private func lines(_ records: [String], _ model: TemplateModel, _ options: [String] = []) throws -> [String] {
        let scratch = try ScratchDirectory()
        let input = try scratch.write("in.jsonl", records.joined(separator: "\n"))
        let end = try ProgramRun(
            "Preprocess", ["render", "--target-model-path", model.path] + options, input: input
        ).finish()
        #expect(end.code == 0, "\(end.errors)")
        return end.output.split(separator: "\n").map(String.init)
    }

    private func string(_ line: String) throws -> String {
        try JSONFile(contents: Array(line.utf8), path: "line").root.asString()
    }

    /// The text is the tokens of the sample, decoded; byte for byte.
    @Test(arguments: [("auto", "smollm2"), ("qwen", "smollm2"), ("auto", "own")])
    func textIsWhatSamplesDecodeTo(template: String, source: String) throws {
        let fixture = Fixtures.folder.appending(path: "chat_templates/smollm2.jinja").path(percentEncoded: false)
        let jinja = source == "own" ? Self.jinja : try String(contentsOfFile: fixture, encoding: .utf8)
        let model = try TemplateModel(jinja, ["--chat-template", template])
        let real = Fixtures.folder.appending(path: "conversations/eval_sharegpt_smollm2.jsonl")
        let conversations = try String(contentsOf: real, encoding: .utf8).split(separator: "\n").prefix(60).map(
            String.init)
        let records = conversations + (source == "own" ? Self.odd : Array(Self.odd[1...1] + Self.odd[3...]))
        let rendered = try lines(records, model, ["--chat-template", template])
        #expect(rendered.count == records.count)
        for (record, line) in zip(records, rendered) {
            let samples = try model.samples(record, .init(maxLength: 1 << 20))
            #expect(try samples.map { try model.text($0.inputIDs) } == [try string(line)], "\(record.prefix(200))")
        }
    }

    @Test func aRowForEachTurnIsALineForEach() throws {
        let model = try TemplateModel(Self.jinja)
        let rows = try lines(Self.odd, model, ["--row-per-turn"]).map(string)
        let expected = try Self.odd.flatMap { record in
            try model.samples(record, .init(maxLength: 1 << 20, isRowPerTurn: true)).map { try model.text($0.inputIDs) }
        }
        #expect(rows == expected && rows.count == 7)
    }

    /// What build rejects, and what no template renders, is answered by the reason.
    @Test func whatCannotBeRenderedIsAnsweredByAnError() throws {
        let model = try TemplateModel(Self.jinja)
        let records = [
            #"{"messages": [{"role": "user", "content": "Hi"}]}"#, #"{"input_ids": [1], "loss_mask": [1]}"#, "7",
            #"{"messages": [{"role": "pirate", "content": "Arr"}]}"#,
        ]
        let answers = try lines(records, model)
        #expect(answers.count == 4 && answers.allSatisfy { $0.hasPrefix("{\"error\": ") }, "\(answers)")
        #expect(
            try lines([records[0]], model, ["--add-generation-prompt"]).map(string) == [
                "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
            ])
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Ends of turns that aren't an end-of-turn token of each turn's own.
struct TurnEndTests {
    private static let record =
        #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}"#

    /// As GLM's: nothing ends a turn but the next role's marker, which the model lists among its eos tokens.
    private static let marked =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

    /// SmolLM2's `<|im_start|>` and `<|im_end|>`.
    private static let (start, end) = (Int32(1), Int32(2))

    @Test func theNextRolesMarkerIsTheEndOfATurnIfTheModelStopsThere() throws {
        let model = try TemplateModel(Self.marked, ends: [2, 1])
        #expect(model.proof().failures.isEmpty && model.proof(.row).failures.isEmpty, "\(model.proof().text)")
        let sample = try #require(model.samples(Self.record).first)
        let supervised = zip(sample.inputIDs, sample.lossMask).filter(\.1).map(\.0)
        #expect(supervised.count == 4 && supervised[1] == Self.start && supervised[3] == Self.start)
        // The marker of the first turn is the next header; the last turn's stands at the end.
        #expect(sample.inputIDs.count { $0 == Self.start } == 5 && sample.inputIDs.last == Self.start)
        let rows = try model.samples(Self.record, .init(isRowPerTurn: true))
        #expect(rows.count == 2)
        for row in rows {
            #expect(
                row.inputIDs.last == Self.start && row.supervisedCount == 2 && row.lossMask.suffix(2) == [true, true])
        }
        // What is asked for an answer gets none.
        var text = RenderedText()
        let asked = TurnProbe.conversation(questions: 1)
        try model.format.makeRenderer().render(asked, addGenerationPrompt: true, into: &text)
        #expect(String(decoding: text.bytes, as: UTF8.self) == "<|im_start|>user\nHi<|im_start|>assistant\n")
    }

    /// A call of a tool ends with another role's marker than an answer.
    @Test func aCallEndsWithTheMarkerOfTools() throws {
        let jinja = Self.marked.replacingOccurrences(
            of: "<|im_start|>{{", with: "{{ '<|im_end|>' if m.role == 'tool' else '<|im_start|>' }}{{"
        )
        .replacingOccurrences(
            of: "{{ m.content }}",
            with: "{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}")
        let model = try TemplateModel(jinja, ends: [0, 1, 2])
        let call =
            #"{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}]}"#
        let asked = #"{"messages": [{"role": "user", "content": "q"}, \#(call)"#
        let open = try #require(model.samples(asked + "]}").first)
        #expect(open.inputIDs.last == Self.end && open.lossMask.last == true)
        let answered = try model.samples(
            asked + #", {"role": "tool", "content": "1"}, {"role": "assistant", "content": "b"}]}"#)
        let supervised = try zip(#require(answered.first).inputIDs, #require(answered.first).lossMask).filter(\.1).map(
            \.0)
        #expect(try model.text(supervised) == "f<|im_end|>b<|im_start|>")
    }

    @Test func aMarkerThatIsNoEndIsNamed() throws {
        let model = try TemplateModel(Self.marked, ends: [2])
        let failure = try #require(model.proof().failures.first)
        #expect(failure.what == "the end of each turn is supervised")
        #expect(
            failure.detail.contains(
                #"turns are followed by "<|im_start|>", 1: if the model stops there, list that as"#),
            "\(failure.detail)")
        #expect(try model.supervised(Self.record) == ["ab"])
    }

    /// As gpt-oss: the last turn ends with the token at which the model stops, earlier ones with another.
    @Test func earlierTurnsMayEndOtherwiseWithARowForEach() throws {
        let jinja = TemplateModel.chatML.replacingOccurrences(
            of: "<|im_end|>", with: "{{ '<|im_end|>' if loop.last or m.role == 'user' else '<|endoftext|>' }}")
        let model = try TemplateModel(jinja, ends: [2])
        #expect(model.proof().failures.contains { $0.what == "plain answers" && $0.detail.contains("--row-per-turn") })
        #expect(model.proof(.row).failures.isEmpty, "\(model.proof(.row).text)")
        let rows = try model.supervised(Self.record, .init(isRowPerTurn: true))
        #expect(rows == ["a<|im_end|>\n", "b<|im_end|>\n"])
        // One who names an entry is told, and builds.
        let scratch = try ScratchDirectory()
        let entry = try scratch.write(
            "e.json", #"{"assistant_header": "<|im_start|>assistant\n", "user_header": "<|im_start|>user\n"}"#)
        let named = try TemplateModel(jinja, ends: [2], ["--chat-template", entry]).proof()
        #expect(named.failures.isEmpty, "\(named.text)")
        let warning = try #require(named.findings.first { $0.detail.hasPrefix("1 of 2 turns have none") })
        #expect(warning.verdict == .warning && warning.detail.contains("use --row-per-turn"), "\(warning.detail)")
    }

    /// gpt-oss's own template, with thoughts under all three names, a row for each turn.
    @Test(arguments: Reasoning.keys)
    func gptOssWritesThoughtsOfAnyName(key: String) throws {
        let path = Fixtures.folder.appending(path: "chat_templates/gpt-oss.jinja").path(percentEncoded: false)
        let model = try TemplateModel(String(contentsOfFile: path, encoding: .utf8))
        let row =
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "\#(key)": "hm"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}"#
        #expect(
            try model.supervised(row, .init(isRowPerTurn: true)) == [
                "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>a<|return|>",
                "<|channel|>final<|message|>b<|return|>",
            ])
    }
}

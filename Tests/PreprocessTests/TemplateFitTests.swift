import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Which data a template writes as the model does, and what becomes of records of other kinds.
struct TemplateFitTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static let kinds: [DataTraits] = [[], .systemMessage, .taggedThoughts, .reasoning, .toolCalls]

    /// A letter for each kind: fits, what the data have is dropped, thoughts are doubled, the generation prompt isn't
    /// continued, it is rewritten, or refused (x); first whole conversations, then with a row for each turn.
    private static let expected = [
        "axolotl-deepseek-v2": "...dd ...dd", "axolotl-deepseek-v3": "..ddx ..ddx", "axolotl-llama-3": "...dd ...dd",
        "axolotl-mistral-v3-tekken": ".p.dr .p.d.", "axolotl-mistral-v7-tekken": "...dx ...dd",
        "axolotl-phi-4-reasoning": "...dd ...dd", "chatml": "...dd ...dd",
        "deepseek-r1-distill-llama-8b-hub": "ppddx ppddd", "deepseek-r1-distill-llama-8b": "ppddx ppddd",
        "deepseek-r1-distill-qwen-32b": "ppddx ppddp", "deepseek-r1": "ppddx ppddx", "deepseek-v2": "...dd ...dd",
        "deepseek-v3.1-hub": "..ddx ..ddx", "deepseek-v3.1": "..ddx ..ddx", "deepseek-v3.2": "pppdx pppdp",
        "deepseek-v3": "...dx ...dd", "gemma-2": ".x.dx .x.dd", "gemma-3": "...dx ...dd", "gemma-3n": "...dx ...dd",
        "gemma-4": "pppdx pppdp", "glm-4.6": "..dd. .....", "glm-4.7-flash": "ppddp pp..p", "gpt-oss": "rrrdr .....",
        "kimi-k2-instruct": "...dx ...dx", "kimi-k2-thinking": "..2dx ..2dx", "lfm2.5-instruct": "..ddd ..pdd",
        "lfm2": "...dd ...dd", "ling-3.0-flash": "..... .....", "llama-3.1": "...d. ...d.", "llama-3.2": "...d. ...d.",
        "llama-3.3": "...d. ...d.", "llama-4": "...d. ...d.", "minimax-m2": "ppddp pp..p",
        "mistral-nemo": ".p.dr .p.d.", "mistral-small-3.2": "...dr ...d.", "mistral-v0.3": ".p.dr .p.d.",
        "phi-3.5": "...dd ...dd", "phi-4": "...dd ...dd", "qwen2.5": "...d. ...d.", "qwen3-coder": "...d. ...d.",
        "qwen3-hub": "rrddr .....", "qwen3.5": "rrddr .....", "qwen3": "rrddr .....", "qwq-32b-hub": "ppddp pp.dp",
        "qwq-32b": "ppddp pppdp", "smollm2": "...dd ...dd", "smollm3": "...dd ...dd",
    ]

    private func fit(_ path: String) throws -> TemplateFit {
        let settings = try RenderSettings(dateString: nil, variables: nil, bosToken: "<s>", eosToken: "</s>")
        return TemplateFit(try ChatFormat(path, ModelFiles(scratch.path), settings))
    }

    @Test(arguments: ChatFormatTests.templates)
    func publishedTemplatesFitTheseData(path: String) throws {
        let fit = try fit(path)
        func letter(_ problem: TurnProblem?) -> String {
            switch problem?.kind {
            case nil: "."
            case .dropped: "d"
            case .doubled: "2"
            case .prompt: "p"
            case .rewritten, .tooMany: "r"
            case .refused: "x"
            }
        }
        let verdicts = try Self.kinds.map { try fit.verdict($0) }
        let found = verdicts.map { letter($0.whole) }.joined() + " " + verdicts.map { letter($0.alone) }.joined()
        let name = path.split(separator: "/").last.map { String($0.dropLast(".jinja".count)) } ?? ""
        #expect(found == Self.expected[name], "\(name)")
    }

    private static let rows = "use --row-per-turn (each turn a sample of its own) or --train-only-last-turn"
    private static let another =
        "no data of this kind fit this template: give one that writes them with --chat-template FILE.jinja"

    private static let advices: [(String, DataTraits, Bool, String)] = [
        ("qwen3", DataTraits.reasoning, false, rows), ("gpt-oss", DataTraits(), false, rows),
        ("mistral-small-3.2", .toolCalls, false, rows),
        ("deepseek-r1", DataTraits(), true, another), ("deepseek-r1", .taggedThoughts, true, another),
        (
            "mistral-v0.3", .systemMessage, true,
            "use data without a system message, or put it into the first question"
        ),
        ("qwq-32b-hub", .reasoning, true, "write the thoughts into the answer as <think>…</think>"),
        (
            "qwq-32b-hub", .reasoning, false,
            "write the thoughts into the answer as <think>…</think> with --row-per-turn"
        ),
        (
            "lfm2.5-instruct", .taggedThoughts, true,
            "set --chat-template-kwargs '{\"keep_past_thinking\": true}', here and where the model is served"
        ),
        (
            "minimax-m2", DataTraits(), true,
            "use data with thoughts as <think>…</think> in the answer, or use data with thoughts in a field of their own"
        ),
    ]

    /// What is to be done is tried before it is said.
    @Test(arguments: advices)
    func adviceIsTrue(name: String, traits: DataTraits, isAlone: Bool, advice: String) throws {
        let path = Fixtures.folder.appending(path: "chat_templates/\(name).jinja").path(percentEncoded: false)
        #expect(try fit(path).advice(traits, isAlone: isAlone) == advice)
    }

    // MARK: - Records

    private static let talk = [("q", "a"), ("r", "b"), ("s", "c")]

    /// A record whose answers have these thoughts in their content; nil for none.
    private func record(_ thoughts: [String?], system: String? = nil) -> String {
        var messages = system.map { [#"{"role": "system", "content": "\#($0)"}"#] } ?? []
        for (turn, thought) in zip(Self.talk, thoughts) {
            let tagged = thought.map { "<think>\\n\($0)\\n</think>\\n\\n" } ?? ""
            messages.append(#"{"role": "user", "content": "\#(turn.0)"}"#)
            messages.append(#"{"role": "assistant", "content": "\#(tagged)\#(turn.1)"}"#)
        }
        return "{\"messages\": [\(messages.joined(separator: ", "))]}"
    }

    private func rejection(_ body: () throws -> Void) -> Rejection? {
        do {
            try body()
            return nil
        } catch {
            return error as? Rejection
        }
    }

    /// Thoughts of all turns but the last are cut out, where there are any.
    private static let cutting = TemplateModel.chatML.replacingOccurrences(
        of: "{{ m.content }}",
        with:
            "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1]|trim }}{% else %}{{ m.content }}{% endif %}"
    )

    @Test func onlyRecordsAreRejectedOfWhichATurnIsRewritten() throws {
        let model = try TemplateModel(Self.cutting)
        #expect(model.proof().failures.isEmpty, "\(model.proof().text)")
        #expect(try model.supervised(record([nil, nil])) == ["a<|im_end|>\nb<|im_end|>\n"])
        #expect(try model.supervised(record(["t"])) == ["<think>\nt\n</think>\n\na<|im_end|>\n"])
        // The last one's are written.
        #expect(try model.supervised(record([nil, "t"])) == ["a<|im_end|>\n<think>\nt\n</think>\n\nb<|im_end|>\n"])
        let found = rejection { _ = try model.supervised(record(["t", nil])) }
        #expect(found?.reason == .dropped)
        #expect(found?.detail.contains(#"message 1 its thoughts, "t"; "#) ?? false, "\(found?.detail ?? "")")
        // What advice says: rows keep a turn whose thoughts end the text, but not what follows the ones that are cut out.
        #expect(try model.supervised(record(["t"]), .init(isRowPerTurn: true)).count == 1)
        #expect(try model.supervised(record(["t", nil]), .init(trainsOnlyLastTurn: true)) == ["b<|im_end|>\n"])
    }

    /// A turn that isn't supervised, or lies after what is used, may be written in any way.
    @Test func onlyTurnsThatAreTrainedOnMatter() throws {
        let model = try TemplateModel(Self.cutting)
        let unsupervised = record(["t", nil]).replacingOccurrences(of: "a\"}", with: "a\", \"weight\": 0}")
        #expect(try model.supervised(unsupervised) == ["b<|im_end|>\n"])
        let cut = record([nil, "t", nil])
        #expect(rejection { _ = try model.supervised(cut) } != nil)
        #expect(try model.supervised(cut, .init(maxLength: 12)).count == 1)
    }

    /// A system message that only stands with a question that is last, as Mistral's.
    @Test func recordsWithASystemMessageAreRejectedWhereItIsMoved() throws {
        let model = try TemplateModel(
            "{% set s = messages[0].content if messages[0].role == 'system' else '' %}{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n{% if m.role == 'user' and loop.last %}{{ s }}{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
        #expect(model.proof().failures.isEmpty)
        #expect(model.proof().text.contains("no      a system message: "))
        #expect(try model.supervised(record([nil, nil])).count == 1)
        let found = rejection { _ = try model.supervised(record([nil], system: "Be kind.")) }
        #expect(found?.reason == .prompt)
        #expect(found?.detail.contains("only with a question that stands last") ?? false, "\(found?.detail ?? "")")
        #expect(found?.detail.contains("use data without a system message") ?? false)
    }

    /// Thoughts between other marks than `<think>`, which the template searches for.
    @Test func marksThatATemplateSearchesForAreFound() throws {
        let jinja = TemplateModel.chatML.replacingOccurrences(
            of: "{{ m.content }}",
            with:
                "{% if '[/THINK]' in m.content %}{{ m.content.split(\"[/THINK]\")|last }}{% else %}{{ m.content }}{% endif %}"
        )
        let model = try TemplateModel(jinja)
        let row =
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "[THINK]hm[/THINK]a"}]}"#
        let found = rejection { _ = try model.supervised(row) }
        #expect(
            found?.reason == .dropped && found?.detail.contains("its thoughts, \"[THINK]hm\"") ?? false,
            "\(found?.detail ?? "")")
        #expect(try model.supervised(record([nil])).count == 1)
    }

    @Test func callsThatATemplateLeavesOutAreFound() throws {
        let model = try TemplateModel(TemplateModel.chatML)
        let call = #"{"type": "function", "function": {"name": "weather", "arguments": "{}"}}"#
        let row =
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [\#(call)]}]}"#
        let found = rejection { _ = try model.supervised(row) }
        #expect(found?.reason == .dropped && found?.detail.contains("its call of \"weather\"") ?? false)
    }

    /// One who names an entry has chosen how turns are written, but not that a part of the data is left out.
    @Test func anEntryRejectsOnlyWhatIsLeftOut() throws {
        let rewriting = TemplateModel.chatML.replacingOccurrences(
            of: "{{ m.content }}",
            with: "{% if loop.last and m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}")
        let model = try TemplateModel(rewriting, ["--chat-template", "qwen"])
        #expect(try model.supervised(record([nil, nil])) == ["a<|im_end|>\n<think></think>b<|im_end|>\n"])
        let cutting = try TemplateModel(Self.cutting, ["--chat-template", "qwen"])
        #expect(rejection { _ = try cutting.supervised(record(["t", nil])) }?.reason == .dropped)
        #expect(try cutting.supervised(record([nil, "t"])).count == 1)
    }
}

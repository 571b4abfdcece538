import Foundation
import Jinja
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
    /// continued, it is rewritten, or refused (x); first whole conversations, then their last turns, then a row for each turn.
    private static let expected = [
        "axolotl-deepseek-v2": "...dd ...dd ...dd", "axolotl-deepseek-v3": "..ddx ..ddx ..ddx",
        "axolotl-llama-3": "...dd ...dd ...dd",
        "axolotl-mistral-v3-tekken": ".p.dr .p.d. ...d.", "axolotl-mistral-v7-tekken": "...dx ...dd ...dd",
        "axolotl-phi-4-reasoning": "...dd ...dd ...dd", "chatml": "...dd ...dd ...dd",
        "deepseek-r1-distill-llama-8b-hub": "ppddd ppddd ppddd", "deepseek-r1-distill-llama-8b": "ppddd ppddd ppddd",
        "deepseek-r1-distill-qwen-32b": "ppddx ppddp ppddp", "deepseek-r1": "ppddx ppddx ppddx",
        "deepseek-v2": "...dd ...dd ...dd",
        "deepseek-v3.1-hub": "..ddx ..ddx ..ddx", "deepseek-v3.1": "..dd. ..dd. ..dd.",
        "deepseek-v3.2": "pppdp pppdp pppdp",
        "deepseek-v3": "...dd ...dd ...dd", "gemma-2": ".x.dx .x.dd .x.dd", "gemma-3": "...dx ...dd ...dd",
        "gemma-3n": "...dx ...dd ...dd",
        "gemma-4": "pppdp pppdp pppdp", "glm-4.6": "..dd. ..... .....", "glm-4.7-flash": "ppddp pp..p pp..p",
        "gpt-oss": "rrrdr ..... .....",
        "kimi-k2-instruct": "...dx ...dx ...dx", "kimi-k2-thinking": "..2dx ..2dx ..2dx",
        "lfm2.5-instruct": "..ddd ..pdd ...dd",
        "lfm2": "...dd ...dd ...dd", "ling-3.0-flash": "..... ..... .....", "llama-3.1": "...d. ...d. ...d.",
        "llama-3.2": "...d. ...d. ...d.",
        "llama-3.3": "...d. ...d. ...d.", "llama-4": "...d. ...d. ...d.", "minimax-m2": "ppddp pp..p pp..p",
        "mistral-nemo": ".p.dr .p.d. ...d.", "mistral-small-3.2": "...dr ...d. ...d.",
        "mistral-v0.3": ".p.dr .p.d. ...d.",
        "phi-3.5": "...dd ...dd ...dd", "phi-4": "...dd ...dd ...dd", "qwen2.5": "...d. ...d. ...d.",
        "qwen3-coder": "...d. ...d. ...d.",
        "qwen3-hub": "rrddr ..... .....", "qwen3.5": "rrddr ..... .....", "qwen3": "rrddr ..... .....",
        "qwq-32b-hub": "ppddp pp.dp pp.dp",
        "qwq-32b": "ppddp pppdp pppdp", "smollm2": "...dd ...dd ...dd", "smollm3": "...dd ...dd ...dd",
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
            case .rewritten, .tooMuch: "r"
            case .refused: "x"
            }
        }
        let verdicts = try Self.kinds.map { try fit.verdict($0) }
        let found = TemplateFit.Mode.allCases.map { mode in verdicts.map { letter($0[mode]) }.joined() }.joined(
            separator: " ")
        let name = path.split(separator: "/").last.map { String($0.dropLast(".jinja".count)) } ?? ""
        #expect(found == Self.expected[name], "\(name)")
    }

    private static let rows = "use --row-per-turn (each turn a sample of its own) or --train-only-last-turn"
    private static let another =
        "no data of this kind fit this template: give one that writes them with --chat-template FILE.jinja"

    private static let advices: [(String, DataTraits, TemplateFit.Mode, String)] = [
        ("qwen3", DataTraits.reasoning, .whole, rows), ("gpt-oss", DataTraits(), .whole, rows),
        ("mistral-small-3.2", .toolCalls, .whole, rows),
        ("deepseek-r1", DataTraits(), .row, another), ("deepseek-r1", .taggedThoughts, .row, another),
        (
            "mistral-v0.3", .systemMessage, .whole, "use --row-per-turn (each turn a sample of its own)"
        ),
        ("qwq-32b-hub", .reasoning, .row, "write the thoughts into the answer as <think>…</think>"),
        (
            "qwq-32b-hub", .reasoning, .whole,
            "write the thoughts into the answer as <think>…</think> with --row-per-turn"
        ),
        (
            "lfm2.5-instruct", .taggedThoughts, .whole, "use --row-per-turn (each turn a sample of its own)"
        ),
        (
            "minimax-m2", DataTraits(), .row,
            "use data with thoughts as <think>…</think> in the answer, or use data with thoughts in a field of their own"
        ),
    ]

    /// Advice is tried before it is given.
    @Test(arguments: advices)
    func adviceIsTrue(name: String, traits: DataTraits, mode: TemplateFit.Mode, advice: String) throws {
        let path = Fixtures.folder.appending(path: "chat_templates/\(name).jinja").path(percentEncoded: false)
        #expect(try fit(path).advice(traits, mode) == advice)
    }

    /// Of n turns n texts are compared, so that time would grow with n².
    @Test func comparingTurnsIsBoundedByTheText() throws {
        let path = Fixtures.folder.appending(path: "chat_templates/qwen3-coder.jinja").path(percentEncoded: false)
        let settings = try RenderSettings(dateString: nil, variables: nil, bosToken: "", eosToken: "")
        let format = try ChatFormat(path, ModelFiles(scratch.path), settings)
        guard case .own(let template) = format.text else { return }
        func conversation(_ turns: Int) -> Conversation {
            Conversation(
                messages: (0..<turns).flatMap { [Message(.user, "question \($0)"), Message(.assistant, "answer")] })
        }
        func problem(turns: Int, multiple: Int) throws -> TurnProblem? {
            var renderer = try #require(try format.makeJinjaRenderer())
            renderer.renderingLimits = .init(multiple: multiple, always: 0)
            var text = RenderedText()
            try renderer.render(conversation(turns), into: &text)
            return TurnCheck(renderer, format).rewritten(conversation(turns), text, onlyLastTurn: false)
        }
        #expect(try problem(turns: 20, multiple: 10)?.kind == .tooMuch)
        #expect(try problem(turns: 20, multiple: 30) == nil)
        // And so where turns are found by rendering up to each.
        var renderer = try JinjaRenderer(template, settings, form: format.form, marking: .prefixes)
        var text = RenderedText()
        func turns(_ count: Int, multiple: Int) throws -> Int {
            renderer.renderingLimits = .init(multiple: multiple, always: 0)
            try renderer.render(conversation(count), into: &text)
            return text.turns.count
        }
        #expect(try turns(20, multiple: 30) == 20)
        #expect {
            try turns(20, multiple: 10)
        } throws: {
            "\($0)".hasPrefix("there are too many turns to find each")
        }
    }

    /// What a rendering may cost grows with what is rendered, up to what any may cost.
    @Test func renderingsOfLittleMayCostLittle() {
        func steps(_ messages: [Message], _ tools: JSONText? = nil) -> Int {
            JinjaRenderer.limits(messages, tools).steps
        }
        let most = Limits().steps
        let thought = Message(role: .assistant, content: [], reasoning: Array(repeating: 65, count: 500))
        #expect(steps([]) < most / 20)
        #expect(steps([Message(.user, String(repeating: "a", count: 1000))]) > steps([Message(.user, "a")]) + 1_000_000)
        #expect(steps([thought]) > steps([]) + 1_000_000)
        #expect(
            steps([], .array(Array(repeating: .object([("name", .string("f"))]), count: 500))) > steps([]) + 1_000_000)
        #expect(steps([Message(.user, String(repeating: "a", count: 1 << 20))]) == most)
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
        #expect(model.proof(.row).text.contains("ok      a system message"))
        #expect(try model.supervised(record([nil, nil])).count == 1)
        let row = record([nil, nil], system: "Be kind.")
        for settings in [SampleBuilder.Settings(), .init(trainsOnlyLastTurn: true)] {
            let found = rejection { _ = try model.supervised(row, settings) }
            #expect(found?.reason == .prompt)
            #expect(found?.detail.contains("only with a question that stands last") ?? false, "\(found?.detail ?? "")")
            #expect(found?.detail.hasSuffix("use --row-per-turn (each turn a sample of its own)") ?? false)
        }
        // Each row is what the engine renders for the turn, and then the turn.
        let rows = try model.samples(row, .init(isRowPerTurn: true))
        let (user, assistant, end) = ("<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n")
        #expect(
            try rows.map { try model.text($0.inputIDs) } == [
                "\(user)Be kind.q\(end)\(assistant)a\(end)",
                "\(user)q\(end)\(assistant)a\(end)\(user)Be kind.r\(end)\(assistant)b\(end)",
            ])
        #expect(try model.supervised(row, .init(isRowPerTurn: true)) == ["a\(end)", "b\(end)"])
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

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Which turns are trained on: what the data leave out, the last one only, a row for each; and in what time.
struct SupervisedTurnsTests {
    private static func record(_ weights: [String], answers: [String]? = nil) -> String {
        let messages = weights.enumerated().map { index, weight in
            let answer = answers?[index] ?? "a\(index)"
            return
                #"{"role": "user", "content": "q\#(index)"}, {"role": "assistant", "content": "\#(answer)"\#(weight)}"#
        }
        return "{\"messages\": [\(messages.joined(separator: ", "))]}"
    }

    private static let generation = TemplateModel.chatML.replacingOccurrences(
        of: "{{ m.content }}<|im_end|>\n",
        with:
            "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>\n{% endgeneration %}{% else %}{{ m.content }}<|im_end|>\n{% endif %}"
    )
    private static let indexed =
        "{% for i in range(messages|length) %}<|im_start|>{{ messages[i].role }}\n{{ messages[i].content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

    /// However turns are found: by loops, tags, prefixes or an entry's headers.
    @Test(arguments: [
        (TemplateModel.chatML, "auto"), (generation, "auto"), (indexed, "auto"), (TemplateModel.chatML, "qwen"),
        (indexed, "chatml"),
    ])
    func messagesOfNoWeightAreNotSupervised(jinja: String, template: String) throws {
        let model = try TemplateModel(jinja, ["--chat-template", template])
        for zero in [", \"weight\": 0", ", \"train\": false", ", \"loss\": false", ", \"training\": false"] {
            let row = Self.record([zero, "", zero, ", \"weight\": 1"])
            let sample = try #require(model.samples(row).first)
            let all = try #require(model.samples(Self.record(["", "", "", ""])).first)
            #expect(sample.inputIDs == all.inputIDs)
            let supervised = zip(sample.inputIDs, sample.lossMask).filter(\.1).map(\.0)
            #expect(try model.text(supervised) == "a1<|im_end|>\na3<|im_end|>\n")
            #expect(try model.supervised(row, .init(isRowPerTurn: true)) == ["a1<|im_end|>\n", "a3<|im_end|>\n"])
            #expect(try model.supervised(row, .init(trainsOnlyLastTurn: true)) == ["a3<|im_end|>\n"])
            // The last turn is the last, though it isn't supervised.
            let last = Self.record(["", zero])
            #expect(throws: Rejection(.tooFewLossTokens, "0, should be 1 or more")) {
                try model.supervised(last, .init(trainsOnlyLastTurn: true))
            }
            #expect(try model.supervised(last, .init(isRowPerTurn: true)) == ["a0<|im_end|>\n"])
            #expect(throws: Rejection.self) { try model.supervised(Self.record([zero, zero])) }
            #expect(throws: Rejection.self) {
                try model.supervised(Self.record([zero, zero]), .init(isRowPerTurn: true))
            }
        }
    }

    /// The rows of a conversation stop with the first that has no room for an answer.
    @Test(.mayNotHang, arguments: [Overflow.truncate, .drop])
    func rowsStopWhereNoAnswerFits(overflow: Overflow) throws {
        let model = try TemplateModel(TemplateModel.chatML)
        guard case .conversation(let talk) = try parseRow(Self.record(Array(repeating: "", count: 20_000))).content
        else { return }
        let settings = SampleBuilder.Settings(maxLength: 64, overflow: overflow, isRowPerTurn: true)
        let row = try model.builder(settings).samples(from: talk)
        #expect((3...4).contains(row.samples.count))
        #expect(row.repairs.first?.droppedMessages == 20_000 - row.samples.count)
    }

    /// A long answer whose thoughts the next text leaves out doesn't end the rows.
    @Test func aTextThatGetsShorterAgainHasItsRow() throws {
        let cutting = TemplateModel.chatML.replacingOccurrences(
            of: "{{ m.content }}",
            with:
                "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1]|trim }}{% else %}{{ m.content }}{% endif %}"
        )
        let model = try TemplateModel(cutting)
        let long = "<think>\(String(repeating: "hm ", count: 100))</think>a"
        let rows = try model.supervised(
            Self.record(["", "", ""], answers: ["a", long, "c"]), .init(maxLength: 64, isRowPerTurn: true))
        #expect(rows.count == 3 && rows.last == "c<|im_end|>\n")
    }

    @Test func rowsOfTooMuchTextAreRejected() throws {
        let model = try TemplateModel(TemplateModel.chatML)
        let long = String(repeating: "word ", count: 400_000)
        let row = Self.record(Array(repeating: "", count: 24), answers: [long] + Array(repeating: "b", count: 23))
        #expect {
            try model.samples(row, .init(maxLength: 64, overflow: .drop, isRowPerTurn: true))
        } throws: {
            ($0 as? Rejection)?.reason == .tooLong
        }
        guard case .conversation(let talk) = try parseRow(row).content else { return }
        var bounds = RowBounds(canShrink: false)
        #expect(talk.turns.count == 24)
        #expect {
            for _ in 0..<200 { _ = try bounds.isReached(bytes: 2_000_000, tokens: 0, isFull: false) }
        } throws: {
            ($0 as? Rejection)?.reason == .tooLarge
        }
    }

    /// Headers that don't occur again are searched for once, not once for each turn.
    @Test(.mayNotHang, arguments: ["gpt-oss", "glm-5.2", "qwen"])
    func turnsOfPreformattedTextAreFoundInLinearTime(name: String) throws {
        let entry = try TemplateRegistry.named(name)
        var text = RenderedText()
        let turn = "\(entry.assistantHeader)<|message|>a<|end|>\(entry.endOfTurnToken)\(entry.userHeader)b"
        text.bytes = Array(String(repeating: turn, count: 100_000).utf8)
        AssistantSpanFinder(entry).findTurns(in: &text)
        #expect(text.turns.count == 100_000)
        #expect(text.supervisedSpans(onlyLastTurn: false).count >= 100_000)
    }

    @Test func supervisedSpansAreTheTurnsWithoutWhatIsIgnored() throws {
        var generator = SplitMix64(seed: 7)
        for _ in 0..<200 {
            var text = RenderedText()
            text.bytes = (0..<60).map { _ in UInt8.random(in: 97...99, using: &generator) }
            var position = 0
            while position < 50 {
                let start = Int.random(in: position...position + 5, using: &generator)
                position = Int.random(in: start...start + 9, using: &generator)
                text.turns.append(.init(range: start..<min(60, position), message: text.turns.count))
            }
            text.ignore([[97, 98], [98], [99, 99]])
            var messages = text.turns.map { _ in Message(.assistant, "") }
            for index in messages.indices where index % 3 == 1 { messages[index].isSupervised = false }
            try text.ignoreUnsupervised(messages)
            for onlyLast in [false, true] {
                let turns = onlyLast ? text.turns.suffix(1) : text.turns[...]
                let expected = (0..<60).map { byte in
                    turns.contains { $0.range.contains(byte) } && !text.ignoredRanges.contains { $0.contains(byte) }
                }
                let spans = text.supervisedSpans(onlyLastTurn: onlyLast)
                #expect((0..<60).map { byte in spans.contains { $0.contains(byte) } } == expected)
            }
        }
    }

    @Test func searchingIsAsPlainComparison() {
        var generator = SplitMix64(seed: 3)
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...20, using: &generator)).map { _ in
                UInt8.random(in: 0...1, using: &generator)
            }
            let pattern = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                UInt8.random(in: 0...1, using: &generator)
            }
            let start = Int.random(in: 0...text.count, using: &generator)
            let end = Int.random(in: start...text.count, using: &generator)
            let found = (start...end).filter {
                pattern.count > 0 && $0 + pattern.count <= end && text[$0...].starts(with: pattern)
            }
            #expect(ByteSearch.first(pattern, in: text, start..<end) == found.first)
            #expect(ByteSearch.last(pattern, in: text, start..<end) == found.last)
        }
    }
}

import Shared
import TestSupport
import Testing

@testable import Preprocess

struct SupervisionTests {
    private func marks(_ text: String) throws -> [Bool] {
        guard case .conversation(let conversation) = try parseRow(text).content else { return [] }
        return conversation.messages.map(\.isSupervised)
    }

    @Test(
        arguments: Supervision.messageKeys,
        [("0", false), ("0.0", false), ("false", false), ("1", true), ("1.0", true), ("true", true), ("null", true)])
    func anAnswerIsSupervisedAsItsOwnKeySays(key: String, value: (String, Bool)) throws {
        let answer = #"{"role": "assistant", "content": "a", "\#(key)": \#(value.0)}"#
        let user = #"{"role": "user", "content": "q"}"#
        #expect(
            try marks(#"{"messages": [\#(user), \#(answer), \#(user), {"role": "assistant", "content": "b"}]}"#)
                == [true, value.1, true, true])
        #expect(try marks(#"{"conversations": [\#(user), \#(answer)]}"#) == [true, value.1])
    }

    @Test(arguments: Supervision.messageKeys, ["0.5", "2", "-1", "\"0\"", "[]", "{}", "1e-9"])
    func otherWeightsAreRefusedByName(key: String, value: String) throws {
        let text =
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "\#(key)": \#(value)}]}"#
        #expect { try parseRow(text) } throws: {
            ($0 as? Rejection)?.reason == .unsupportedContent && ($0 as? Rejection)?.detail.contains("'\(key)'") == true
        }
    }

    @Test(arguments: [
        #""weight": 0, "train": true"#, #""loss": true, "training": false"#, #""train_detail": [{"begin_offset": 0}]"#,
        #""mask": true"#, #""loss_mask": [0, 1]"#,
    ])
    func whatContradictsItselfOrMarksPartsIsRefused(keys: String) throws {
        #expect(throws: Rejection.self) {
            try parseRow(
                #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", \#(keys)}]}"#)
        }
    }

    @Test func aRowsLossWeightGoesForAllOfIt() throws {
        let messages =
            #""messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 1}]"#
        #expect(try marks(#"{"loss_weight": 0, \#(messages)}"#) == [false, false])
        #expect(try marks(#"{"loss_weight": 1.0, \#(messages)}"#) == [true, true])
        #expect(throws: Rejection.self) { try parseRow(#"{"loss_weight": 0.3, \#(messages)}"#) }
        for key in Supervision.rowSwitches {
            for value in ["0", "0.0", "false"] {
                #expect(try marks(#"{"\#(key)": \#(value), \#(messages)}"#) == [false, false])
            }
            for value in ["1", "0.5", "true", "null", "\"eval\""] {
                #expect(try marks(#"{"\#(key)": \#(value), \#(messages)}"#) == [true, true])
            }
        }
        let tokens = try parseRow(#"{"input_ids": [1, 2], "loss_mask": [0, 1], "loss_weight": 0}"#)
        #expect(tokens.content == .tokens(Sample(inputIDs: [1, 2], lossMask: [false, false])))
        #expect(throws: Rejection.self) { try parseRow(#"{"text": "x", "loss_weight": 0}"#, isPreformatted: true) }
    }

    @Test func answersThatArentWantedAreRefused() throws {
        let messages = #""messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]"#
        for record in [
            #"{"kto_tag": false, \#(messages)}"#, #"{"prompt": "q", "completion": "a", "label": false}"#,
        ] {
            let error = #expect(throws: Rejection.self) { try parseRow(record) }
            #expect(error?.detail.contains("is false: its answer isn't one to learn") == true)
        }
        #expect(try marks(#"{"kto_tag": true, \#(messages)}"#) == [true, true])
        #expect(try marks(#"{"label": false, \#(messages)}"#) == [true, true])
    }
}

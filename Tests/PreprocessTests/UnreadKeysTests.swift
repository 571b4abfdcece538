import Shared
import TestSupport
import Testing

@testable import Preprocess

/// What nothing reads of a dataset is named before the build.
struct UnreadKeysTests {
    private func line(_ records: [String], isPreformatted: Bool = false) throws -> String? {
        let scratch = try ScratchDirectory()
        let path = try scratch.write("data.jsonl", records.joined(separator: "\n"))
        return UnreadKeys(ofFirstRecords: [path], isPreformatted: isPreformatted).line
    }

    private static let messages = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]"#

    @Test(arguments: [
        #"{"id": 1, "messages": \#(messages), "system": "s", "tools": [], "loss_weight": 1, "images": null, "score": null}"#,
        #"{"Question": "q", "Answer": "a", "context": "c", "thinking": "t t", "history": []}"#,
        #"{"data": ["q", "a"], "prompt": "q"}"#, #"{"user": "q", "assistant": "a"}"#, #"\#(messages)"#,
        #"{"input_ids": [1], "loss_mask": [1], "attention_mask": [1]}"#,
        #"{"row_idx": 0, "row": {"messages": \#(messages)}, "truncated_cells": []}"#,
        #"{"query": "q", "answers": "[]", "tools": "[]"}"#,
    ])
    func whatIsReadIsntNamed(record: String) throws { #expect(try line([record, record]) == nil) }

    @Test(arguments: [
        (#"{"messages": \#(messages), "thoughts": "x", "score": 1}"#, "columns 'thoughts', 'score'"),
        (#"{"messages": \#(messages), "instruction": "x"}"#, "columns 'instruction'"),
        (#"{"question": "q", "answer": "a", "output": "b"}"#, "columns 'answer'"),
        (#"{"question": "q", "answer": "a", "Complex_CoT": "t"}"#, "columns 'Complex_CoT'"),
        (
            #"{"conversations": [{"from": "human", "value": "q", "ts": 1}, {"from": "gpt", "value": "a", "thought": "t"}]}"#,
            "keys of messages 'ts', 'thought'"
        ),
        (
            #"{"x": 1, "messages": [{"role": "user", "content": "q", "y": 1}]}"#,
            "columns 'x'; keys of messages 'y'"
        ),
        (#"{"input_ids": [1], "loss_mask": [1], "messages": []}"#, "columns 'messages'"),
        ("{\"messages\": \(messages), \"a\\u001b[2J\": 1}", "columns 'a\\u{1b}[2J'"),
    ])
    func whatIsntReadIsNamed(record: String, keys: String) throws {
        #expect(try line([record]) == "not read, by the first record: \(keys)")
        #expect(
            try line(["{", #"{"of": 1, "no": "form"}"#, record, record]) == "not read, by the first 2 records: \(keys)")
    }

    @Test func ofPreformattedTextNothingElseIsRead() throws {
        #expect(
            try line([#"{"id": "x", "text": "t", "messages": []}"#], isPreformatted: true)
                == "not read, by the first record: columns 'messages'")
    }

    @Test func aFewNamesAreEnough() throws {
        let columns = (0..<100).map { #""c\#($0)": 1"# }.joined(separator: ", ")
        let line = try #require(try line([#"{"messages": \#(Self.messages), \#(columns)}"#]))
        #expect(line.hasSuffix("'c11', …"))
    }
}

import Shared
import Testing

@testable import Preprocess

struct ConversationParserTests {
    private func parse(
        _ text: String, isPreformatted: Bool = false, needsAnswer: Bool = true
    ) throws(Rejection) -> SourceRow {
        try parseRow(text, isPreformatted: isPreformatted, needsAnswer: needsAnswer)
    }

    /// A conversation in letters: u, a, s, t for the roles, as "uaua".
    private func conversation(_ letters: String) -> String {
        let names: [Character: String] = ["u": "human", "a": "gpt", "s": "system", "t": "tool"]
        let messages = letters.enumerated().map { #"{"from": "\#(names[$1] ?? "")", "value": "\#($0)"}"# }
        return #"{"id": "x", "conversations": [\#(messages.joined(separator: ","))]}"#
    }

    private func letters(_ row: SourceRow) -> String {
        guard case .conversation(let conversation) = row.content else { return "" }
        return conversation.messages.map { String($0.role.rawValue.prefix(1)) }.joined()
    }

    @Test(arguments: [
        #"{"id": "7", "conversations": [{"from": "human", "value": "hi é"}, {"from": "gpt", "value": "yo"}]}"#,
        #"{"messages": [{"role": "user", "content": "hi \u00e9"}, {"role": "assistant", "content": "yo"}], "id": 7}"#,
        #"{"id": 7, "conversations": [{"from": "user", "value": "hi é"}, {"content": "yo", "role": "bard"}], "tools": []}"#,
        #"{"id": 7, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi "}, {"text": "é"}]}, {"role": "assistant", "content": "yo", "tool_calls": null}]}"#,
    ])
    func readsEveryFormOfAConversation(text: String) throws {
        let row = try parse(text)
        #expect(row.id == Array("7".utf8) && row.repairs.isEmpty)
        let messages = [
            Message(role: .user, content: Array("hi é".utf8)), Message(role: .assistant, content: Array("yo".utf8)),
        ]
        #expect(row.content == .conversation(Conversation(id: row.id, messages: messages)))
    }

    @Test func readsToolsAndThoughts() throws {
        let call = #"{"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}"#
        let row = try parse(
            #"{"tools": "[{\"name\": \"f\"}]", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "tool_calls": [\#(call)], "reasoning_content": "hm"}, {"role": "tool", "name": "f", "content": "2"}]}"#
        )
        guard case .conversation(let conversation) = row.content else { throw Rejection(.empty, "") }
        #expect(conversation.tools?.compact == #"[{"type":"function","function":{"name":"f"}}]"#)
        let answer = conversation.messages[1]
        #expect(answer.content.isEmpty && answer.fields.map(\.name) == ["tool_calls"])
        #expect(answer.reasoning == Array("hm".utf8))
        #expect(
            answer.toolCalls?.compact == #"[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]"#)
        #expect(conversation.messages[2].fields == [.init(name: "name", value: .string("f"))])
    }

    @Test(arguments: [
        (#"{"data": ["q", "a", "r", "b"]}"#, "u:q a:a u:r a:b"),
        (#"{"prompt": "q", "data": ["q", "a"]}"#, "u:q a:a"),
        (#"{"prompt": "q", "data": ["a", "r", "b"]}"#, "u:q a:a u:r a:b"),
        (#"{"prompt": "x", "messages": ["q", "a"]}"#, "u:q a:a"),
        (#"{"instruction": "q", "input": "", "output": "a"}"#, "u:q a:a"),
        (#"{"instruction": "q", "input": "i", "output": "a", "system": "s"}"#, "s:s u:q\ni a:a"),
        (#"{"instruction": "r", "output": "b", "history": [["q", "a"]]}"#, "u:q a:a u:r a:b"),
        (#"{"prompt": "q", "completion": "a"}"#, "u:q a:a"),
        (#"{"prompt": "q", "response": "a", "system": null}"#, "u:q a:a"),
        (
            #"{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}"#,
            "u:q a:a"
        ),
    ])
    func readsInstructionsAndDialogues(text: String, expected: String) throws {
        guard case .conversation(let conversation) = try parse(text).content else {
            Issue.record("is no conversation")
            return
        }
        let shown = conversation.messages.map {
            "\($0.role.rawValue.prefix(1)):\(String(decoding: $0.content, as: UTF8.self))"
        }
        #expect(shown.joined(separator: " ") == expected)
    }

    @Test func readsTokens() throws {
        let row = try parse(#"{"id": "t", "input_ids": [5, 6, 7], "loss_mask": [0, 1, true]}"#)
        #expect(row.content == .tokens(Sample(inputIDs: [5, 6, 7], lossMask: [false, true, true])))
        #expect(row.id == Array("t".utf8))
    }

    @Test(arguments: [
        (#"{"input_ids": [1]}"#, "has 'input_ids' without 'loss_mask'"),
        (#"{"input_ids": [1, 2], "loss_mask": [1]}"#, "has 2 'input_ids' and 1 of 'loss_mask'"),
        (#"{"input_ids": [1, -2], "loss_mask": [1, 1]}"#, "element 1 of 'input_ids' is no token's id"),
        (#"{"input_ids": [1], "loss_mask": [2]}"#, "element 0 of 'loss_mask' is neither 0 nor 1"),
        (#"{"input_ids": 7, "loss_mask": [2]}"#, "'input_ids' is an integer, should be an array"),
    ])
    func refusesOtherTokens(text: String, detail: String) {
        #expect(throws: Rejection(.badTokens, detail)) { try parse(text) }
    }

    @Test func readsPreformattedText() throws {
        #expect(try parse(#"{"text": "<s>x\n"}"#, isPreformatted: true).content == .preformatted(Array("<s>x\n".utf8)))
        #expect(throws: Rejection.self) { try parse(conversation("ua"), isPreformatted: true) }
    }

    @Test(arguments: [
        ("ua", "ua", 0, 0), ("sua", "sua", 0, 0), ("aua", "ua", 1, 0), ("saua", "sua", 1, 0), ("asaua", "ua", 3, 0),
        ("uaa", "ua", 0, 1), ("uua", "uua", 0, 0), ("uatta", "uatta", 0, 0), ("uau", "uau", 0, 0),
        ("uaaua", "ua", 0, 3), ("uatua", "uatua", 0, 0), ("auaa", "ua", 1, 1), ("uasua", "uasua", 0, 0),
    ])
    func repairsWhatCanBeRepaired(letters: String, repaired: String, leading: Int, cut: Int) throws {
        let row = try parse(conversation(letters))
        #expect(self.letters(row) == repaired)
        var repairs: [SourceRecord.Repair] = []
        if leading > 0 { repairs.append(.init("leading messages left out", droppedMessages: leading)) }
        if cut > 0 { repairs.append(.init("cut at wrong role order", droppedMessages: cut)) }
        #expect(row.repairs == repairs)
    }

    @Test(arguments: [
        ("{\"conversations\": [", Rejection.Reason.malformed, ""),
        ("7", .notAConversation, "is an integer, should be an object"),
        ("{}", .notAConversation, "has no keys; should have \(RecordForms.known)"),
        (#"{"a": 1, "b": 2}"#, .notAConversation, "has only the keys 'a', 'b'; should have \(RecordForms.known)"),
        (
            #"{"text": "x"}"#, .notAConversation,
            "has only a 'text'; if it is in the model's own format, build with --is-preformatted"
        ),
        (
            #"{"title": "t", "mapping": {"a": {}}}"#, .notAConversation,
            "is of ChatGPT's export, whose messages are a tree ('mapping'); write the branch that counts as an array 'messages'"
        ),
        (
            #"{"dialogue": "Human: q\n\nAssistant: a"}"#, .notAConversation,
            "'dialogue' is text that isn't JSON, should be an array of messages; turns that are marked within a text by HUMAN: and ASSISTANT: must be made messages with roles"
        ),
        (#"{"messages": 7}"#, .notAConversation, "'messages' is an integer, should be an array"),
        (#"{"messages": {}}"#, .notAConversation, ""),
        (#"{"messages": {"from": ["human"], "value": []}}"#, .notAConversation, "'messages' has 1 roles and 0 texts"),
        (
            #"{"messages": "[{'from': 'human'}]"}"#, .notAConversation,
            "'messages' is text that isn't JSON, should be an array of messages; it is Python's repr, and json.dumps writes JSON"
        ),
        (
            #"{"role": "user", "content": "x"}"#, .notAConversation,
            "is a message and no conversation; should be an object with an array 'messages'"
        ),
        (
            #"{"prompt": "x", "chosen": "y"}"#, .notAConversation,
            "has 'prompt' and none of 'output', 'response', 'completion', 'solution', 'answer', 'target', 'targets'; Preprocess build --prompts and regenerate make answers"
        ),
        (#"{"messages": []}"#, .empty, "has no messages"),
        (#"{"messages": [7]}"#, .notAConversation, "message 0 is an integer, should be an object"),
        (#"{"messages": [{"content": "x"}]}"#, .notAConversation, "message 0 has no string 'from' or 'role'"),
        (#"{"messages": [{"role": "user"}]}"#, .notAConversation, "message 0 has no 'value' or 'content'"),
        (#"{"messages": [{"role": "user", "content": null}]}"#, .notAConversation, "the text of message 0 is null"),
        (
            #"{"messages": [{"role": "asistant", "content": "x"}]}"#, .unknownRole,
            "role 'asistant' is none of \(RoleNames.list); --role-map NAME=ROLE says which it is"
        ),
        (
            #"{"messages": [{"role": "user", "content": [{"type": "image"}]}]}"#, .unsupportedContent,
            "message 0 has a part of type 'image'; only text can be trained on"
        ),
        (
            #"{"tools": 5, "messages": [{"role": "user", "content": "x"}]}"#, .unsupportedContent,
            "'tools' should be an array"
        ),
        (
            #"{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": "{"}]}"#,
            .unsupportedContent,
            "'tool_calls' of message 1 is not JSON: The JSON document has an improper structure: missing or superfluous commas, braces, missing keys, etc."
        ),
    ])
    func rejectsWithAReason(text: String, reason: Rejection.Reason, detail: String) {
        #expect {
            try parse(text)
        } throws: { error in
            guard let error = error as? Rejection else { return false }
            return error.reason == reason && (detail.isEmpty || error.detail == detail)
        }
    }

    @Test(arguments: [
        ("a", Rejection.Reason.noUser), ("sa", .noUser), ("u", .noAssistant), ("au", .noAssistant),
        ("suu", .noAssistant), ("uta", .wrongOrder), ("usa", .wrongOrder),
    ])
    func rejectsWhatHasNoQuestionAndAnswer(letters: String, reason: Rejection.Reason) {
        #expect { try parse(conversation(letters)) } throws: { ($0 as? Rejection)?.reason == reason }
    }

    @Test(arguments: [("a", ""), ("sa", "s"), ("u", "u"), ("au", "u"), ("uta", "u"), ("uaa", "ua"), ("usa", "us")])
    func keepsWhatIsLeftWhereNoAnswerIsNeeded(letters: String, left: String) throws {
        #expect(try self.letters(parse(conversation(letters), needsAnswer: false)) == left)
    }
}

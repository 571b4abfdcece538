import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Every form that datasets have conversations in, against the same conversation in plain form.
struct RecordFormTests {
    /// Who says what, as "u:question a:answer"; calls of tools in brackets, tools after a bar.
    private func shown(_ text: String, needsAnswer: Bool = true, roles: [String] = []) throws -> String {
        let parser = ConversationParser(isPreformatted: false, needsAnswer: needsAnswer, roles: try RoleNames(roles))
        guard case .conversation(let conversation) = try parseRow(Array(text.utf8), parser).content else { return "" }
        let messages = conversation.messages.map { message in
            "\(message.role.rawValue.prefix(1)):\(String(decoding: message.content, as: UTF8.self))"
                + (message.toolCalls?.compact ?? "")
        }
        return messages.joined(separator: " ") + (conversation.tools.map { "|\($0.compact)" } ?? "")
    }

    private static let messages = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]"#

    @Test(arguments: RecordForms.messageLists + [RecordForms.dialogue])
    func listsOfMessagesAreReadUnderEveryKey(key: String) throws {
        for list in [
            Self.messages, #"[{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]"#,
            #"[{"role": "user", "value": "q"}, null, {"from": "assistant", "content": "a"}]"#, #"["q", "a"]"#,
            #"[{"from": null, "value": null}, {"from": "human", "value": "q", "role": null}, {"from": "gpt", "value": "a"}]"#,
            #"[{"human": "q", "assistant": "a"}]"#,
            #"[{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": ["a"]}]"#,
        ] {
            #expect(try shown(#"{"\#(key)": \#(list)}"#) == "u:q a:a")
            let others = (RecordForms.messageLists + RecordForms.questions).filter { $0 != key }
            let nulls = others.map { #""\#($0)": null, "# }.joined()
            #expect(
                try shown(#"{\#(nulls)"\#(key)": \#(list), "input_ids": null, "tools": null, "system": null}"#)
                    == "u:q a:a")
        }
    }

    @Test(arguments: RecordForms.messageLists) func listsAreAlsoReadAsTextAndAsColumns(key: String) throws {
        #expect(try shown(#"{"\#(key)": \#(JSONText.quoted(Self.messages))}"#) == "u:q a:a")
        #expect(try shown(#"{"\#(key)": [\#(Self.messages)]}"#) == "u:q a:a")
        for (role, content) in [("from", "value"), ("role", "content")] {
            let columns = #"{"\#(role)": ["user", "assistant", null], "\#(content)": ["q", "a", null]}"#
            #expect(try shown(#"{"\#(key)": \#(columns)}"#) == "u:q a:a")
        }
        // The first that isn't empty counts.
        if key != "messages" { #expect(try shown(#"{"\#(key)": [], "messages": \#(Self.messages)}"#) == "u:q a:a") }
    }

    @Test(arguments: RecordForms.questions, RecordForms.answers)
    func questionsAndAnswersAreReadUnderEveryKey(question: String, answer: String) throws {
        #expect(try shown(#"{"\#(question)": "q", "\#(answer)": "a", "other": 1}"#) == "u:q a:a")
        let asked = #"[{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]"#
        #expect(try shown(#"{"\#(question)": \#(asked), "\#(answer)": "a"}"#) == "s:s u:q a:a")
        #expect {
            try shown(#"{"\#(question)": "q", "\#(answer)": null}"#)
        } throws: {
            ($0 as? Rejection)?.detail.contains("'\(question)' and none of 'output'") == true
        }
        // Where answers are made, a question is enough, and what isn't an answer's text is none.
        for answer in ["", #", "\#(answer)": null"#, #", "\#(answer)": 2"#, #", "answers": ["x", "y"]"#] {
            #expect(try shown(#"{"\#(question)": "q"\#(answer)}"#, needsAnswer: false) == "u:q")
        }
        #expect(try shown(#"{"\#(question)": "q", "\#(answer)": "a"}"#, needsAnswer: false) == "u:q a:a")
        let later = RecordForms.questions.drop { $0 != question }.dropFirst()
        for context in RecordForms.contexts where later.contains(context) {
            #expect(try shown(#"{"\#(question)": "q", "\#(context)": "c", "\#(answer)": "a"}"#) == "u:q\nc a:a")
        }
    }

    /// Forms of published datasets and of other APIs, made up.
    @Test(arguments: [
        (#"{"Question": "q", "Response": "a"}"#, "u:q a:a"),
        (#"{"Context": "q", "Response": "a"}"#, "u:q a:a"),
        (#"{"input": "q", "context": "c", "output": "a"}"#, "u:q\nc a:a"),
        (#"{"inputs": "q", "targets": "a", "language": "en"}"#, "u:q a:a"),
        (#"{"problem": "q", "answer": "42", "solution": "a"}"#, "u:q a:a"),
        (#"{"user": "q", "assistant": "a", "system": "s", "model": "m"}"#, "s:s u:q a:a"),
        (#"{"assistant": "a", "human": "q"}"#, "u:q a:a"),
        (
            #"{"conversation": [{"output": "a", "input": "q", "turn": 1}, {"input": "r", "output": "b"}]}"#,
            "u:q a:a u:r a:b"
        ),
        (#"{"conversation": [{"assistant": "a", "human": "q", "system": "s"}]}"#, "s:s u:q a:a"),
        (#"{"conversations": [["q", "a"], ["r", "b"]]}"#, "u:q a:a u:r a:b"),
        (
            #"{"systemInstruction": {"role": "system", "parts": [{"text": "s"}]}, "contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"text": "a"}]}]}"#,
            "s:s u:q a:a"
        ),
        (
            #"{"system": [{"text": "s"}, {"text": "t"}], "messages": [{"role": "user", "content": [{"text": "q"}]}, {"role": "assistant", "content": [{"text": "a"}]}]}"#,
            "s:st u:q a:a"
        ),
        (
            #"{"query": "q", "tools": "[{\"name\": \"f\", \"parameters\": {}}]", "answers": "[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]"}"#,
            #"u:q a:\#(call)|[{"type":"function","function":{"name":"f","parameters":{}}}]"#
        ),
    ])
    func otherFormsAreRead(record: String, expected: String) throws { #expect(try shown(record) == expected) }

    @Test(arguments: [
        #"{"prompt": "q", "chosen": "a", "rejected": "b"}"#,
        #"{"chosen": [{"role": "user", "content": "q"}], "rejected": []}"#,
        #"{"messages": [{"user": "q", "assistant": {"text": "a"}}]}"#,
        #"{"messages": [{"user": "q", "assistant": "a", "comment": "c"}]}"#,
        #"{"query": "q", "answers": ["a", "b"]}"#, #"{"query": "q", "answers": {"text": ["a"]}}"#,
        #"{"user": "someone", "text": "x"}"#, #"{"system": [{"type": "image"}], "question": "q", "answer": "a"}"#,
        #"{"conversations": [["q", "a"], ["r", "b", "c"]]}"#,
    ])
    func whatIsntCertainIsRefused(record: String) throws {
        #expect(throws: Rejection.self) { try shown(record) }
    }

    /// The thoughts of an answer, in brackets, and the answer.
    private func thoughts(_ record: String) throws -> String {
        guard case .conversation(let conversation) = try parseRow(record).content else { return "" }
        let last = try #require(conversation.messages.last)
        let reasoning = last.reasoning.map { "[\(String(decoding: $0, as: UTF8.self))]" } ?? ""
        return reasoning + String(decoding: last.content, as: UTF8.self)
    }

    @Test(arguments: Reasoning.keys) func aColumnBesideAnAnswerIsItsThoughts(key: String) throws {
        #expect(try thoughts(#"{"question": "q", "\#(key)": "t t", "answer": "a"}"#) == "[t t]a")
        #expect(try thoughts(#"{"messages": [{"question": "q", "\#(key)": "t", "answer": "a"}]}"#) == "[t]a")
        // Settings, and answers that have their thoughts themselves.
        for setting in ["\"on\"", "true", "1", "null", "\"\""] {
            #expect(try thoughts(#"{"question": "q", "\#(key)": \#(setting), "answer": "a"}"#) == "a")
        }
        #expect(
            try thoughts(#"{"question": "q", "\#(key)": "t t", "answer": "<think>t t</think>a"}"#)
                == "<think>t t</think>a")
    }

    @Test(arguments: RecordForms.systems) func aColumnIsTheSystemMessage(key: String) throws {
        let column = #""\#(key)": "s""#
        for form in [
            #""messages": \#(Self.messages)"#, #""conversations": \#(Self.messages)"#,
            #""question": "q", "answer": "a""#,
            #""data": ["q", "a"]"#, #""messages": [{"role": "system", "content": ""}, \#(Self.messages.dropFirst())"#,
            #""messages": [{"role": "system", "content": "s"}, \#(Self.messages.dropFirst())"#,
        ] {
            #expect(try shown("{\(column), \(form)}") == "s:s u:q a:a")
        }
        #expect(throws: Rejection.self) {
            try shown(#"{\#(column), "messages": [{"role": "system", "content": "t"}, \#(Self.messages.dropFirst())}"#)
        }
        #expect(try shown(#"{"\#(key)": "", "messages": \#(Self.messages)}"#) == "u:q a:a")
    }

    @Test(arguments: RoleNames.known.flatMap { known in known.names.map { (known.meaning, $0) } })
    func everyNameOfARoleIsKnown(meaning: RoleNames.Meaning, name: String) {
        let roles = RoleNames()
        for spelling in [
            name, name.uppercased(), name.capitalized, " \(name) ", name.replacing("_", with: "-"),
            name.replacing("_", with: " "),
        ] {
            #expect(roles.meaning(of: spelling.utf8) == meaning)
        }
        #expect(roles.meaning(of: "\(name)x".utf8) == nil)
    }

    @Test func modelsOfOpenAIAreTheAssistantUnderTheirNames() {
        for name in ["gpt-4", "GPT-3.5-turbo", "chatgpt-4o"] {
            #expect(RoleNames().meaning(of: name.utf8) == .role(.assistant))
        }
    }

    @Test func namesOfRolesCanBeTold() throws {
        let text = #"{"messages": [{"role": "Frage", "content": "q"}, {"role": "GPT=4", "content": "a"}]}"#
        #expect(try shown(text, roles: ["frage=user", "gpt=4=assistant"]) == "u:q a:a")
        #expect { try shown(text) } throws: {
            let detail = ($0 as? Rejection)?.detail ?? ""
            return detail.contains("role 'Frage'") && detail.contains("human") && detail.contains("--role-map")
        }
        for wrong in ["x", "x=", "=user", "x=gpt"] { #expect(throws: (any Error).self) { try RoleNames([wrong]) } }
        // What was told goes before what is known.
        #expect(
            try shown(
                #"{"messages": [{"role": "bot", "content": "q"}, {"role": "gpt", "content": "a"}]}"#,
                roles: ["bot=user"]) == "u:q a:a")
    }

    private static let tool = #"{"type":"function","function":{"name":"f"}}"#

    @Test(arguments: [
        #"[\#(tool)]"#, tool, JSONText.quoted("[\(tool)]"), JSONText.quoted(tool), "[\(JSONText.quoted(tool))]",
    ])
    func toolsAreReadInEveryForm(tools: String) throws {
        for key in ToolForms.keys {
            #expect(try shown(#"{"\#(key)": \#(tools), "messages": \#(Self.messages)}"#) == "u:q a:a|[\(Self.tool)]")
            let system = #"{"role": "system", "content": "s", "\#(key)": \#(tools)}"#
            #expect(
                try shown(#"{"messages": [\#(system), \#(Self.messages.dropFirst())}"#) == "s:s u:q a:a|[\(Self.tool)]")
        }
    }

    @Test(arguments: ["null", "\"\"", "\"null\"", "\"None\"", "\"none\"", "[]", "{}", "\"[]\"", "\"{}\"", "\" \""])
    func noToolsAreNone(tools: String) throws {
        #expect(try shown(#"{"tools": \#(tools), "messages": \#(Self.messages)}"#) == "u:q a:a")
    }

    /// OpenAI's older and newer forms, xLAM's, MCP's and Anthropic's.
    @Test(
        arguments: ToolForms.keys,
        [
            (#"{"name": "f"}"#, #"{"name":"f"}"#), (#"{"type": "function", "name": "f"}"#, #"{"name":"f"}"#),
            (#"{"name": "f", "parameters": {"x": 1}}"#, #"{"name":"f","parameters":{"x":1}}"#),
            (#"{"name": "f", "inputSchema": {"x": 1}}"#, #"{"name":"f","parameters":{"x":1}}"#),
            (#"{"name": "f", "input_schema": {"x": 1}}"#, #"{"name":"f","parameters":{"x":1}}"#),
        ])
    func bareFunctionsAreWrappedAsTools(key: String, form: (tool: String, function: String)) throws {
        #expect(
            try shown(#"{"\#(key)": [\#(form.tool)], "messages": \#(Self.messages)}"#)
                == #"u:q a:a|[{"type":"function","function":\#(form.function)}]"#)
    }

    /// Tools that aren't functions stay as they are.
    @Test func otherToolsStay() throws {
        let tool = #"{"type":"web_search","name":"f"}"#
        #expect(try shown(#"{"tools": [\#(tool)], "messages": \#(Self.messages)}"#) == "u:q a:a|[\(tool)]")
    }

    @Test(arguments: [
        #""arguments": {"x": 1}"#, #""parameters": {"x": 1}"#, #""args": "{\"x\": 1}""#, #""input": {"x": 1}"#,
        #""arguments": null, "parameters": {"x": 1}"#, #""kwargs": {"x": 1}"#,
        #""arguments": "\"{\\\"x\\\": 1}\"""#,
    ])
    func argumentsAreReadUnderOtherNames(arguments: String) throws {
        for call in [
            #"{"type": "function", "function": {"name": "f", \#(arguments)}}"#, #"{"name": "f", \#(arguments)}"#,
            #"{"type": "tool_use", "name": "f", \#(arguments)}"#,
        ] {
            let message = #"{"role": "assistant", "content": null, "tool_calls": [\#(call)]}"#
            #expect(
                try shown(#"{"messages": [{"role": "user", "content": "q"}, \#(message)]}"#) == "u:q a:\(Self.call)")
        }
        let content = JSONText.quoted(#"{"name": "f", \#(arguments)}"#)
        let message = #"{"from": "function_call", "value": \#(content)}"#
        #expect(try shown(#"{"messages": [{"role": "user", "content": "q"}, \#(message)]}"#) == "u:q a:\(Self.call)")
    }

    @Test func aCallKeepsItsId() throws {
        let call = #"{"id": "c1", "name": "f", "arguments": {}}"#
        let message = #"{"role": "assistant", "content": null, "tool_calls": [\#(call)]}"#
        #expect(
            try shown(#"{"messages": [{"role": "user", "content": "q"}, \#(message)]}"#)
                == #"u:q a:[{"id":"c1","type":"function","function":{"name":"f","arguments":{}}}]"#)
    }

    @Test(arguments: [
        "\"\"", "null", "\" \\n\"", "{}", "[]", "\"{}\"", "\"null\"", "\"\\n{}\"", "\"None\"", "\"\\\"\\\"\"",
    ])
    func noArgumentsAreAnEmptyObject(arguments: String) throws {
        let call = #"{"function": {"name": "f", "arguments": \#(arguments)}}"#
        let text =
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [\#(call)]}]}"#
        #expect(try shown(text) == #"u:q a:[{"function":{"name":"f","arguments":{}}}]"#)
    }

    private static let call = #"[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]"#

    @Test(arguments: [
        #"{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": " {\"x\": 1}"}}]}"#,
        #"{"role": "assistant", "content": null, "tool_calls": "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": {\"x\": 1}}}]"}"#,
        #"{"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\": 1}"}}"#,
        #"{"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"}"#,
        #"{"role": "tool_call", "content": [{"name": "f", "arguments": {"x": 1}}]}"#,
        #"{"role": "tool-calls", "content": "{\"function\": {\"name\": \"f\", \"arguments\": {\"x\": 1}}, \"type\": \"function\"}"}"#,
    ])
    func callsAreReadInEveryForm(message: String) throws {
        let expected =
            message.contains("\"function\\\": {\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {\\\"x\\\": 1}}, \\\"type")
            ? #"[{"function":{"name":"f","arguments":{"x":1}},"type":"function"}]"# : Self.call
        let text =
            #"{"messages": [{"role": "user", "content": "q"}, \#(message), {"role": "observation", "content": "r"}, {"role": "assistant", "content": "a"}]}"#
        #expect(try shown(text) == "u:q a:\(expected) t:r a:a")
    }

    @Test func callsFollowTheTextBeforeThem() throws {
        let call = #"{"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"}"#
        let text =
            #"{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "see"}, \#(call), {"from": "observation", "value": "r"}, {"from": "gpt", "value": "a"}]}"#
        #expect(try shown(text) == "u:q a:see\(Self.call) t:r a:a")
    }

    @Test(arguments: [
        ("{\"t\": 4}", #"{"t":4}"#), ("4", "4"), ("null", ""), (#"[{"type": "text", "text": "4"}]"#, "4"),
        ("[1, 2]", "[1,2]"),
        ("true", "true"),
    ])
    func whatAToolGivesBackNeedsNotBeText(content: String, expected: String) throws {
        let call = #"{"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {}}]}"#
        let text =
            #"{"messages": [{"role": "user", "content": "q"}, \#(call), {"role": "tool", "content": \#(content)}, {"role": "assistant", "content": "a"}]}"#
        let wrapped = #"[{"type":"function","function":{"name":"f","arguments":{}}}]"#
        #expect(try shown(text) == "u:q a:\(wrapped) t:\(expected) a:a")
    }

    @Test(arguments: ["NaN", "-Infinity", "Infinity", "1e400", "-1e999", "123456789012345678901234567890"])
    func aNumberThatIsNoneCostsNothingWhereItIsntUsed(number: String) throws {
        #expect(
            try shown(#"{"score": \#(number), "messages": \#(Self.messages), "x": {"y": [\#(number)]}}"#) == "u:q a:a")
        for used in [
            #"{"messages": [{"role": "user", "content": \#(number)}]}"#,
            #"{"tools": [{"name": "f", "x": \#(number)}], "messages": \#(Self.messages)}"#,
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "tool_call", "content": {"name": "f", "arguments": {"x": \#(number)}}}]}"#,
        ] where !number.hasPrefix("12") {
            #expect(throws: Rejection.self) { try shown(used) }
        }
    }

    @Test func ofEqualKeysTheLastCounts() throws {
        #expect(try shown(#"{"messages": ["x", "y"], "messages": \#(Self.messages)}"#) == "u:q a:a")
        #expect(
            try shown(#"{"messages": [{"role": "tool", "role": "user", "content": "x", "content": "q"}, "a"]}"#)
                == "u:q a:a")
    }

    @Test(arguments: [#"\ud83d"#, #"half \udc00"#, #"\ud83d\u0041"#]) func halvesOfPairsAreNamed(text: String) {
        #expect {
            try shown(#"{"messages": ["\\ud83d \ud83d\ude00 \#(text)"]}"#)
        } throws: {
            ($0 as? Rejection)?.detail.contains("half of a pair") == true
        }
    }

    @Test func rowsAndBareListsAreRead() throws {
        #expect(
            try shown(#"{"row_idx": 0, "row": {"messages": \#(Self.messages)}, "truncated_cells": []}"#) == "u:q a:a")
        #expect(try shown(Self.messages) == "u:q a:a")
    }

    /// A detail may be made of anything that stands in data.
    @Test func detailsAreBounded() {
        for text in [String(repeating: "x", count: 100_000), String(repeating: "é👍", count: 10_000)] {
            let detail = Rejection(.malformed, text).detail
            #expect(detail.utf8.count < Rejection.longestDetail + 10 && text.hasPrefix(detail.dropLast(2)))
        }
    }

    private static let media: [(record: String, detail: String)] = [
        (
            #"{"image": "a.jpg", "conversations": [{"from": "human", "value": "What is <image>?"}, {"from": "gpt", "value": "a"}]}"#,
            "'image' belongs where message 0 has <image>"
        ),
        (
            #"{"images": [{"bytes": "x"}], "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<image>"}]}"#,
            "'images' belongs where message 1 has <image>"
        ),
        (
            #"{"videos": [null, "a.mp4"], "question": "<video> q", "answer": "a"}"#,
            "'videos' belongs where message 0 has <video>"
        ),
        (
            #"{"audio": {"path": "a.wav"}, "instruction": "q <audio>", "output": "a"}"#,
            "'audio' belongs where message 0 has <audio>"
        ),
        (
            #"{"question": "Picture 1: <img>/data/a.jpg</img>\nq", "answer": "a"}"#,
            "message 0 has a picture's address in <img>"
        ),
        (#"{"question": "<image>\nq", "answer": "a"}"#, "message 0 has <image> where something else than text belongs"),
        (#"{"question": "q\n<audio>", "answer": "a"}"#, "message 0 has <audio> where something else than text belongs"),
        (
            #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {}}]}]}"#,
            "message 0 has a part of type 'image_url'"
        ),
        (
            #"{"messages": [{"role": "user", "content": [{"text": null, "image": "x"}]}]}"#,
            "message 0 has a part 'image'"
        ),
        (#"{"messages": [{"role": "user", "content": [5]}]}"#, "message 0 has a part that is an integer"),
    ]

    @Test(arguments: media) func picturesFilmsAndSoundsAreRefusedByName(record: String, detail: String) throws {
        let error = #expect(throws: Rejection.self) { try shown(record) }
        #expect(error?.reason == .unsupportedContent)
        #expect(error?.detail == detail + "; only text can be trained on", "\(error?.detail ?? "")")
    }

    /// The same words in a text about them, and columns without anything in them.
    @Test(arguments: [
        (#"{"question": "What does <image> mean in RSS?", "answer": "a"}"#, "u:What does <image> mean in RSS? a:a"),
        (
            #"{"image": null, "images": [], "video": "", "audios": [null], "question": "an <image>", "answer": "a"}"#,
            "u:an <image> a:a"
        ),
        (#"{"image": "avatar.png", "question": "q", "answer": "a"}"#, "u:q a:a"),
        (
            #"{"question": "<img src='x'> or <img></img>?", "answer": "<img>x</img>"}"#,
            "u:<img src='x'> or <img></img>? a:<img>x</img>"
        ),
        (#"{"question": "q", "answer": "<image>\n<url>x</url>"}"#, "u:q a:<image>\n<url>x</url>"),
    ])
    func textsAboutPicturesAreTexts(record: String, text: String) throws { #expect(try shown(record) == text) }
}

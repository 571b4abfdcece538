import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Every form that datasets have conversations in, against the same conversation in plain form.
struct RecordFormTests {
    /// Who says what, as "u:question a:answer"; calls of tools in brackets, tools after a bar.
    private func shown(_ text: String, roles: [String] = []) throws -> String {
        let parser = ConversationParser(isPreformatted: false, roles: try RoleNames(roles))
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
        for context in RecordForms.contexts where question != "input" {
            #expect(try shown(#"{"\#(question)": "q", "\#(context)": "c", "\#(answer)": "a"}"#) == "u:q\nc a:a")
        }
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

    @Test(arguments: ["null", "\"\"", "\"null\"", "\"None\"", "[]", "{}", "\"[]\"", "\"{}\"", "\" \""])
    func noToolsAreNone(tools: String) throws {
        #expect(try shown(#"{"tools": \#(tools), "messages": \#(Self.messages)}"#) == "u:q a:a")
    }

    @Test func functionsAreToolsOfOpenAIsOlderForm() throws {
        #expect(
            try shown(#"{"functions": [{"name": "f"}], "messages": \#(Self.messages)}"#) == "u:q a:a|[\(Self.tool)]")
    }

    @Test(arguments: [
        "\"\"", "null", "\" \\n\"", "{}", "[]", "\"{}\"", "\"null\"", "\"\\n{}\"",
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
        #expect(try shown(text) == #"u:q a:[{"name":"f","arguments":{}}] t:\#(expected) a:a"#)
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
        (#"{"question": "q", "answer": "<image>\n<url>x</url>"}"#, "u:q a:<image>\n<url>x</url>"),
    ])
    func textsAboutPicturesAreTexts(record: String, text: String) throws { #expect(try shown(record) == text) }
}

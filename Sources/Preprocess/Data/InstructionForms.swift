import Shared

/// Conversations that are a question and an answer under keys of their own.
extension ConversationReader {
    /// The messages of a record in this form; nil if it isn't in it.
    ///
    /// Where no answer is needed, one that isn't text counts as none: a label, say, or names of what is right.
    func instruction(_ root: JSONValue, _ reader: inout MessageReader) throws(Rejection) -> [Message]? {
        guard let (asked, question) = RecordForms.first(RecordForms.questions, in: root) else { return nil }
        guard let answering = needsAnswer ? try answer(root, &reader) : (try? answer(root, &reader)) ?? [] else {
            return nil
        }
        let messages = try history(root)
        var asking = try side(question, .user, asked, &reader)
        if let (key, context) = RecordForms.first(RecordForms.contexts, in: root, except: asked),
            let last = asking.indices.last
        {
            let text = try Self.text(context, key)
            if !text.isEmpty { asking[last].content += [UInt8(ascii: "\n")] + text }
        }
        return messages + asking + answering
    }

    /// The answer's messages, with the thoughts of a column beside it; nil if there is none.
    private func answer(_ root: JSONValue, _ reader: inout MessageReader) throws(Rejection) -> [Message]? {
        guard let (key, answer) = RecordForms.first(RecordForms.answers, in: root) else {
            guard let calls = RecordForms.column(RecordForms.calls, of: root) else { return nil }
            guard let calls = try ToolForms.answers(calls) else { return nil }
            return [Message(role: .assistant, content: [], fields: [.init(name: "tool_calls", value: calls)])]
        }
        var messages = try side(answer, .assistant, key, &reader)
        if messages.count == 1, messages[0].role == .assistant, messages[0].reasoning == nil,
            !ByteSearch.contains(Reasoning.end, messages[0].content)
        {
            messages[0].reasoning = try Reasoning.ofRow(root)
        }
        return messages
    }

    /// Alpaca's earlier turns: pairs of strings.
    private func history(_ root: JSONValue) throws(Rejection) -> [Message] {
        var messages: [Message] = []
        for pair in root.value("history").map({ Array($0.elements) }) ?? [] {
            let texts = pair.elements.compactMap { $0.utf8 }
            guard texts.count == 2 else {
                throw Rejection(.notAConversation, "'history' has an element that isn't two strings")
            }
            messages.append(Message(role: .user, content: Array(texts[0])))
            messages.append(Message(role: .assistant, content: Array(texts[1])))
        }
        return messages
    }

    /// One side's text: a string, or an array of messages with their roles.
    private func side(
        _ value: JSONValue, _ role: Role, _ key: String, _ reader: inout MessageReader
    ) throws(Rejection) -> [Message] {
        if let text = value.utf8 { return [Message(role: role, content: Array(text))] }
        guard value.kind == .array, value.elements.allSatisfy({ $0.kind == .object }) else {
            throw Rejection(
                .notAConversation, "'\(key)' is \(value.kind.withArticle), should be a string or an array of messages")
        }
        return try reader.messages(in: value, "'\(key)'")
    }
}

import Shared

/// What records say of a conversation besides who said what: tools and calls of tools.
enum MessageFields {
    /// Fields of messages that models' templates know.
    private static let known = ["tool_calls", "name", "tool_call_id"]

    /// The tools of a record; nil for none.
    ///
    /// Some datasets keep them as text.
    static func tools(_ root: JSONValue) throws(Rejection) -> JSONText? {
        guard let tools = root["tools"], let value = try parsed(tools, "'tools'") else { return nil }
        guard case .array(let list) = value else { throw Rejection(.unsupportedContent, "'tools' should be an array") }
        return list.isEmpty ? nil : value
    }

    static func fields(of message: JSONValue, at index: Int) throws(Rejection) -> [Message.Field] {
        var fields: [Message.Field] = []
        for name in known {
            guard let value = message[name], !value.isNull else { continue }
            guard name == "tool_calls" else {
                fields.append(.init(name: name, value: JSONText(value)))
                continue
            }
            let place = "'tool_calls' of message \(index)"
            guard let calls = try parsed(value, place) else { continue }
            guard case .array(let list) = calls else {
                throw Rejection(.unsupportedContent, "\(place) should be an array")
            }
            guard !list.isEmpty else { continue }
            var parsedCalls: [JSONText] = []
            for call in list { parsedCalls.append(try withParsedArguments(call, place)) }
            fields.append(.init(name: name, value: .array(parsedCalls)))
        }
        return fields
    }

    /// JSON, also where it is kept as text; nil for nothing.
    private static func parsed(_ value: JSONValue, _ place: String) throws(Rejection) -> JSONText? {
        if value.isNull { return nil }
        guard let text = value.utf8 else { return JSONText(value) }
        guard !text.isEmpty else { return nil }
        return try parsed(Array(text), place)
    }

    private static func parsed(_ text: [UInt8], _ place: String) throws(Rejection) -> JSONText {
        do {
            let parser = JSONParser()
            return JSONText(try parser.parse(text))
        } catch {
            throw Rejection(.unsupportedContent, "\(place) \(error.message)")
        }
    }

    /// A call whose arguments are an object, as templates expect them, also where the API's form has text.
    private static func withParsedArguments(_ call: JSONText, _ place: String) throws(Rejection) -> JSONText {
        guard case .object(var members) = call else {
            throw Rejection(.unsupportedContent, "\(place) has one that isn't an object")
        }
        for (i, member) in members.enumerated() {
            switch (member.0, member.1) {
            case ("function", .object): members[i].1 = try withParsedArguments(member.1, place)
            case ("arguments", .string(let text)) where text.hasPrefix("{"):
                members[i].1 = try parsed(Array(text.utf8), "the arguments in \(place)")
            default: break
            }
        }
        return .object(members)
    }
}

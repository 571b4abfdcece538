import Shared

/// The forms in which records have tools and calls of tools.
///
/// Both may be kept as text, and both become what engines give to templates: an array of tools, each with its `function`;
/// calls whose arguments are an object, `{}` where there are none.
enum ToolForms {
    /// Keys of a record, or of its system message; the first that isn't empty counts.
    static let keys = ["tools", "available_tools", "functions"]
    /// What other APIs call the arguments of a call, and a tool's `parameters`.
    private static let argumentKeys = ["arguments", "parameters", "args", "kwargs", "input"]
    private static let parameterKeys = ["parameters", "input_schema", "inputSchema"]

    /// The tools of a record or a system message; nil for none.
    static func tools(_ owner: JSONValue) throws(Rejection) -> JSONText? {
        for key in keys {
            guard let value = owner.value(key), let parsed = try parsed(value, "'\(key)'") else { continue }
            if let tools = try list(of: parsed, key) { return tools }
        }
        return nil
    }

    private static func list(of value: JSONText, _ key: String) throws(Rejection) -> JSONText? {
        let elements: [JSONText]
        switch value {
        case .object(let members) where members.isEmpty: return nil
        case .object where value["function"] != nil || value["name"] != nil: elements = [value]
        case .array(let array): elements = array
        default: throw Rejection(.unsupportedContent, "'\(key)' should be an array")
        }
        var tools: [JSONText] = []
        for element in elements {
            var tool = element
            if case .string(let text) = element { tool = try parsed(Array(text.utf8), "a tool in '\(key)'") }
            guard case .object = tool else {
                throw Rejection(.unsupportedContent, "'\(key)' has an element that isn't an object")
            }
            tools.append(wrapped(tool))
        }
        return tools.isEmpty ? nil : .array(tools)
    }

    /// A tool as OpenAI's chat API has it: its name and parameters in `function`.
    ///
    /// They stand alone in OpenAI's older form, in xLAM's and in MCP's; beside `type` in OpenAI's newer API.
    private static func wrapped(_ tool: JSONText) -> JSONText {
        guard case .object(var members) = tool, tool["function"] == nil, tool["name"] != nil else { return tool }
        let isFunction = tool["type"].map { $0.plain == "function" } ?? true
        guard isFunction else { return tool }
        members.removeAll { $0.0 == "type" }
        rename(&members, parameterKeys)
        return function(.object(members))
    }

    /// Gives the value of the first of the keys that has one the first key's name.
    private static func rename(_ members: inout [(String, JSONText)], _ keys: [String]) {
        let found = keys.dropFirst().first { key in members.contains { $0.0 == key && !$0.1.isNull } }
        guard let found, !members.contains(where: { $0.0 == keys[0] && !$0.1.isNull }) else { return }
        members.removeAll { $0.0 == keys[0] }
        for index in members.indices where members[index].0 == found { members[index].0 = keys[0] }
    }

    /// The calls of a message: `tool_calls`, or OpenAI's older `function_call`; nil for none.
    static func calls(of message: JSONValue, at index: Int) throws(Rejection) -> JSONText? {
        for key in ["tool_calls", "function_call"] {
            let owner = "'\(key)' of message \(index)"
            guard let value = message.value(key), let parsed = try parsed(value, owner) else { continue }
            if key == "function_call" { return .array([try call(function(parsed), owner)]) }
            guard case .array(let list) = parsed else {
                throw Rejection(.unsupportedContent, "\(owner) should be an array")
            }
            guard !list.isEmpty else { continue }
            var calls: [JSONText] = []
            for element in list { calls.append(try call(element, owner)) }
            return .array(calls)
        }
        return nil
    }

    /// The calls of a row's column of answers that are calls; nil for none.
    static func answers(_ value: JSONValue) throws(Rejection) -> JSONText? {
        let owner = "'\(RecordForms.calls)'"
        guard let parsed = try? parsed(value, owner), case .array(let list) = parsed, !list.isEmpty,
            list.allSatisfy({ $0["name"] != nil && $0["arguments"] != nil })
        else { return nil }
        var calls: [JSONText] = []
        for element in list { calls.append(try call(function(element), owner)) }
        return .array(calls)
    }

    /// The calls that a message consists of whose role says that it is one.
    static func calls(in content: JSONValue?, at index: Int) throws(Rejection) -> [JSONText] {
        let owner = "the call of a tool in message \(index)"
        guard let content, let parsed = try parsed(content, owner) else {
            throw Rejection(.unsupportedContent, "\(owner) is empty")
        }
        let list: [JSONText] = if case .array(let array) = parsed { array } else { [parsed] }
        var calls: [JSONText] = []
        for element in list {
            let isWrapped = element["function"] != nil
            guard isWrapped || element["name"] != nil else {
                throw Rejection(.unsupportedContent, "\(owner) has no 'name'")
            }
            calls.append(try call(isWrapped ? element : function(element), owner))
        }
        return calls
    }

    private static func function(_ value: JSONText) -> JSONText {
        .object([("type", .string("function")), ("function", value)])
    }

    /// A call as OpenAI's chat API has it: its name and arguments in `function`, which may stand alone in the data.
    private static func call(_ value: JSONText, _ owner: String) throws(Rejection) -> JSONText {
        var value = value
        if case .string(let text) = value { value = try parsed(Array(text.utf8), owner) }
        guard case .object(var members) = value else {
            throw Rejection(.unsupportedContent, "\(owner) has one that isn't an object")
        }
        if let i = members.firstIndex(where: { $0.0 == "function" }), case .object(let named) = members[i].1 {
            members[i].1 = try called(named, owner)
            return .object(members)
        }
        guard value["name"] != nil else { return try called(members, owner) }
        let id = members.filter { $0.0 == "id" }
        members.removeAll { ["id", "type"].contains($0.0) }
        return .object(id + [("type", .string("function")), ("function", try called(members, owner))])
    }

    /// A name with its arguments as an object.
    private static func called(_ members: [(String, JSONText)], _ owner: String) throws(Rejection) -> JSONText {
        var members = members
        rename(&members, argumentKeys)
        guard let i = members.firstIndex(where: { $0.0 == "arguments" }) else {
            return .object(members + [("arguments", .object([]))])
        }
        members[i].1 = try arguments(members[i].1, "the arguments in \(owner)")
        return .object(members)
    }

    private static func arguments(_ value: JSONText, _ owner: String) throws(Rejection) -> JSONText {
        var value = value
        // Text within text comes from writing JSON twice.
        for _ in 0..<2 {
            guard case .string(let text) = value else { break }
            let isEmpty = text.utf8.allSatisfy(isJSONSpace) || text == "None"
            value = isEmpty ? .null : try parsed(Array(text.utf8), owner)
        }
        switch value {
        case .null: return .object([])
        // What has no type of its own for objects writes an empty one so.
        case .array(let elements) where elements.isEmpty: return .object([])
        default: return value
        }
    }

    /// JSON, also where it is kept as text; nil for nothing.
    private static func parsed(_ value: JSONValue, _ owner: String) throws(Rejection) -> JSONText? {
        guard let text = value.utf8 else { return try checked(JSONText(value), owner) }
        let isNothing = ["null", "None", "none"].contains { $0.utf8.elementsEqual(text) }
        guard !isNothing, !text.allSatisfy(isJSONSpace) else { return nil }
        return try parsed(Array(text), owner)
    }

    private static func parsed(_ text: [UInt8], _ owner: String) throws(Rejection) -> JSONText {
        let value: JSONText
        do {
            let parser = JSONParser(takesNaN: true)
            defer { withExtendedLifetime(parser) {} }
            value = JSONText(try parser.parse(text))
        } catch {
            let hint = text.withUnsafeBytes { MessageReader.hint($0) }
            throw Rejection(.unsupportedContent, "\(owner) \(error.message)\(hint)")
        }
        return try checked(value, owner)
    }

    private static func checked(_ value: JSONText, _ owner: String) throws(Rejection) -> JSONText {
        guard value.isFinite else { throw Rejection(.unsupportedContent, "\(owner) has NaN or Infinity") }
        return value
    }
}

extension JSONText {
    /// The value of a key of an object.
    fileprivate subscript(key: String) -> JSONText? {
        if case .object(let members) = self { members.first { $0.0 == key }?.1 } else { nil }
    }

    fileprivate var isNull: Bool { if case .null = self { true } else { false } }

    /// Whether all of its numbers are numbers.
    var isFinite: Bool {
        switch self {
        case .object(let members): members.allSatisfy { $0.1.isFinite }
        case .array(let elements): elements.allSatisfy(\.isFinite)
        case .number(let number): number.isFinite
        default: true
        }
    }
}

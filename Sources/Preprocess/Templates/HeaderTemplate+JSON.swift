import Shared

extension HeaderTemplate {
    /// The keys of a template's JSON file.
    private enum Key: String, CaseIterable {
        case assistantHeader = "assistant_header"
        case userHeader = "user_header"
        case systemPrompt = "system_prompt"
        case endOfTurnToken = "end_of_turn_token"
        case systemHeader = "system_header"
        case toolHeader = "tool_header"
        case systemPrefix = "system_prefix"
        case beginsWithBOS = "begins_with_bos"
        case endsWithEOS = "ends_with_eos"
        case trimsSystem = "trims_system"
        case trimsContent = "trims_content"
        case parserType = "parser_type"
        case assistantPatternType = "assistant_pattern_type"
        case enableThinking = "enable_thinking"
        case ignoreToken = "ignore_token"
    }

    /// A template from a JSON object.
    ///
    /// - Throws: `JSONError` that names the file and the key, for one that is missing, unknown or unsupported.
    init(_ node: JSONNode, name: String) throws(JSONError) {
        guard node.value.kind == .object else { throw node.error("should be an object with a template's fields") }
        for (key, value) in node.members where Key(rawValue: key) == nil {
            let known = nearest(to: key, among: Key.allCases.map(\.rawValue)).map { "; did you mean '\($0)'?" }
            throw value.error("is no field of a template\(known ?? "")")
        }
        self.name = name
        parserType = try Self.named(node, .parserType, default: .general)
        assistantPattern = try Self.named(node, .assistantPatternType, default: .general)
        enableThinking = try node.bool(Key.enableThinking.rawValue, default: false)
        ignoredTexts =
            try node[Key.ignoreToken.rawValue]?.elements.map { (text) throws(JSONError) in
                try text.asString()
            } ?? []
        if parserType == .harmony {
            (assistantHeader, userHeader) = Self.harmonyHeaders
        } else {
            assistantHeader = try Self.text(node, .assistantHeader)
            userHeader = Self.lengthened(try Self.text(node, .userHeader), like: assistantHeader)
        }
        endOfTurnToken = try node.string(Key.endOfTurnToken.rawValue, default: "")
        systemPrompt = try node[Key.systemPrompt.rawValue]?.asString()
        // null says that there is none; without the key, it is as the user's.
        if let header = node.value[Key.systemHeader.rawValue] {
            systemHeader = header.isNull ? nil : try node.string(Key.systemHeader.rawValue)
        } else {
            systemHeader = Self.replacing("user", by: "system", in: userHeader)
        }
        toolHeader = try node[Key.toolHeader.rawValue]?.asString()
        systemPrefix = try node.string(Key.systemPrefix.rawValue, default: "")
        beginsWithBOS = try node.bool(Key.beginsWithBOS.rawValue, default: false)
        endsWithEOS = try node.bool(Key.endsWithEOS.rawValue, default: false)
        trimsSystem = try node.bool(Key.trimsSystem.rawValue, default: false)
        trimsContent = try node.bool(Key.trimsContent.rawValue, default: false)
    }

    /// The template as such an object.
    var json: JSONText {
        func text(_ value: String?) -> JSONText { value.map(JSONText.string) ?? .null }
        let fields: [(Key, JSONText)] = [
            (.assistantHeader, .string(assistantHeader)), (.userHeader, .string(userHeader)),
            (.systemPrompt, text(systemPrompt)), (.endOfTurnToken, .string(endOfTurnToken)),
            (.parserType, .string(parserType.rawValue)),
            (.assistantPatternType, .string(assistantPattern.rawValue)), (.enableThinking, .bool(enableThinking)),
            (.ignoreToken, .array(ignoredTexts.map(JSONText.string))), (.systemHeader, text(systemHeader)),
            (.toolHeader, text(toolHeader)),
            (.systemPrefix, .string(systemPrefix)), (.beginsWithBOS, .bool(beginsWithBOS)),
            (.endsWithEOS, .bool(endsWithEOS)), (.trimsSystem, .bool(trimsSystem)),
            (.trimsContent, .bool(trimsContent)),
        ]
        return .object(fields.map { ($0.rawValue, $1) })
    }

    private static func text(_ node: JSONNode, _ key: Key) throws(JSONError) -> String {
        let text = try node.string(key.rawValue)
        guard !text.isEmpty else { throw try node.required(key.rawValue).error("is empty") }
        return text
    }

    private static func named<T: RawRepresentable & CaseIterable>(
        _ node: JSONNode, _ key: Key, default value: T
    ) throws(JSONError) -> T where T.RawValue == String {
        guard let name = node[key.rawValue] else { return value }
        guard let known = T(rawValue: try name.asString()) else {
            throw try node.unsupported(
                key.rawValue, "'\(try name.asString())'",
                supported: T.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return known
    }

    /// The user's header with the line ends that the assistant's has after the same words.
    ///
    /// SpecForge's headers are only looked for, so that some entries leave those of the user's out.
    private static func lengthened(_ userHeader: String, like assistantHeader: String) -> String {
        guard let whole = replacing("assistant", by: "user", in: assistantHeader), whole.hasPrefix(userHeader),
            whole.dropFirst(userHeader.count).allSatisfy(\.isWhitespace)
        else { return userHeader }
        return whole
    }

    /// The text with its one `word` replaced; nil if the word isn't there exactly once.
    private static func replacing(_ word: String, by other: String, in text: String) -> String? {
        let parts = text.split(separator: word, omittingEmptySubsequences: false)
        return parts.count == 2 ? parts.joined(separator: other) : nil
    }
}

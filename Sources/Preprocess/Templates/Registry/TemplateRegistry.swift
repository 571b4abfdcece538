import Shared

/// The built-in templates: to add one, write a file with the entry, and a line here.
enum TemplateRegistry {
    static let templates: [ChatTemplate] = [
        .llama3,
        .llama4,
        .qwen,
        .phi3,
        .phi4,
        .chatML,
        .lfm,
        .phi4Mini,
        .gptOssNaive,
        .gptOss,
        .deepSeekR1Distill,
        .qwen3Thinking,
        .qwen3Instruct,
        .qwen3NextThinking,
        .qwen35,
        .kimiK2Thinking,
        .kimiK2Instruct,
        .kimiK3Thinking,
        .deepSeekV3,
        .deepSeekV2,
        .deepSeekV32,
        .lingFlash2,
        .glm52,
        .gemma,
        .longCat,
        .longCatXML,
        .inklingThinking,
    ]

    static var names: [String] { templates.map(\.name) }

    /// The built-in template of a name.
    static func named(_ name: String) throws(TemplateError) -> ChatTemplate {
        if let template = templates.first(where: { $0.name == name }) { return template }
        let hint = nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
        throw TemplateError(
            "chat template '\(name)' is not one of \(names.joined(separator: ", ")), nor a JSON file\(hint)")
    }

    /// The template in a JSON file, named after it.
    static func load(file path: String) throws -> ChatTemplate {
        let file = path.split(separator: "/").last ?? ""
        let name = file.hasSuffix(".json") ? file.dropLast(5) : file
        return try ChatTemplate(JSONFile(path).root, name: String(name))
    }

    /// The template that a user's `--chat-template` means: a name or a JSON file.
    static func resolve(_ argument: String) throws -> ChatTemplate {
        if templates.contains(where: { $0.name == argument }) { return try named(argument) }
        if argument.hasSuffix(".json") || argument.contains("/") { return try load(file: argument) }
        return try named(argument)
    }
}

import Shared

/// Finds what a `--chat-template` that names or holds headers means.
enum TemplateRegistry {
    static var names: [String] { templates.map(\.name) }

    /// The built-in template of a name.
    static func named(_ name: String) throws(TemplateError) -> HeaderTemplate {
        if let template = templates.first(where: { $0.name == name }) { return template }
        let hint = nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
        throw TemplateError(
            "chat template '\(name)' is not one of \(names.joined(separator: ", ")), nor a JSON file\(hint)")
    }

    /// The template in a JSON file, named after it.
    static func load(file path: String) throws -> HeaderTemplate {
        let file = path.split(separator: "/").last ?? ""
        let name = file.hasSuffix(".json") ? file.dropLast(5) : file
        return try HeaderTemplate(JSONFile(path).root, name: String(name))
    }

    /// The template that a user's `--chat-template` means: a name or a JSON file.
    static func resolve(_ argument: String) throws -> HeaderTemplate {
        if templates.contains(where: { $0.name == argument }) { return try named(argument) }
        if argument.hasSuffix(".json") || argument.contains("/") { return try load(file: argument) }
        return try named(argument)
    }
}

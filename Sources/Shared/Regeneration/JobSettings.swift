/// The settings that the answers of a file were made with.
struct JobSettings: Equatable {
    private static let format = 1
    let settings: [OptionSetting]

    init(_ settings: [OptionSetting]) { self.settings = settings }

    /// Writes them beside a new output, or compares them with those of one that is continued.
    ///
    /// - Throws: `RegenerationError` if the output has others, or none.
    func claim(_ path: String, output: String, isNew: Bool) throws {
        if isNew { return try writeFile(path, json.pretty.utf8) }
        guard fileExists(path) else {
            throw RegenerationError(
                output, "has contents, and no \(path) that tells how they were made; name another file, or --force")
        }
        let old = try Self(JSONFile(path))
        let changes = Self.changes(old, self)
        guard changes.isEmpty else {
            throw RegenerationError(
                output,
                "was begun with other settings (\(changes.joined(separator: "; "))); continue with the same, name another "
                    + "file, or begin again with --force")
        }
    }

    private static func changes(_ old: JobSettings, _ new: JobSettings) -> [String] {
        var names: [String] = []
        for setting in old.settings + new.settings where !names.contains(setting.name) { names.append(setting.name) }
        return names.compactMap { name in
            let (before, now) = (old[name], new[name])
            guard before != now else { return nil }
            func shown(_ own: OptionSetting?, beside other: OptionSetting?) -> String {
                own?.shown ?? OptionSetting.absent(beside: other?.shown)
            }
            return "\(name) \(shown(before, beside: now)) -> \(shown(now, beside: before))"
        }
    }

    private subscript(name: String) -> OptionSetting? { settings.first { $0.name == name } }

    // MARK: - In a file

    private init(_ file: JSONFile) throws(JSONError) {
        let format = try file.root.int("format")
        guard format == Self.format else {
            throw file.root.error(
                "is of format \(format), which another version of Eyrie wrote; should be \(Self.format)")
        }
        let values = try file.root.required("settings").asObject()
        settings = values.members.map { name, node in
            OptionSetting(
                name: name, values: node.value.bool == true ? nil : node.value.elements.compactMap(\.string))
        }
    }

    private var json: JSONText {
        let values = settings.map { setting in
            (setting.name, setting.values.map { JSONText.array($0.map(JSONText.string)) } ?? .bool(true))
        }
        return .object([("format", .int(Self.format)), ("settings", .object(values))])
    }
}

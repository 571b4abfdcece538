/// An option's value as words of a command line, and as a file of settings keeps it.
public struct OptionSetting: Equatable, Sendable {
    /// As a user types it, `--max-length`.
    public let name: String
    /// The values in order; nil for a switch, which has none.
    public let values: [String]?

    public init(name: String, values: [String]?) {
        self.name = name
        self.values = values
    }

    /// What a user types for it; values that look like options follow an equals sign.
    public var words: [String] {
        guard let values else { return [name] }
        guard values.contains(where: { $0.hasPrefix("--") || $0 == "-h" }) else { return [name] + values }
        return values.map { "\(name)=\($0)" }
    }

    /// For people.
    public var shown: String { values.map { $0.joined(separator: " ") } ?? Self.on }

    private static let on = "on"

    /// What is shown of a setting that another has with this value, and that has none itself.
    public static func absent(beside other: String?) -> String { other == on ? "off" : "none" }
}

extension Options {
    /// Every option that has a value, and every switch that is on: `parse` makes the same options of their words.
    public var given: [OptionSetting] { declaredSettings.compactMap(\.setting) }

    /// Those whose values aren't the defaults of this program.
    public var changed: [OptionSetting] {
        zip(declaredSettings, Self().declaredSettings).compactMap { own, initial in
            own.setting == initial.setting ? nil : own.setting
        }
    }

    /// The names of all options.
    public static var names: [String] { Self().declaredSettings.map(\.name) }
}

import Shared

/// What a rank was asked for: the same of all ranks, or what they write together belongs to no one's options.
struct RankRequest: Equatable {
    private let lines: [(name: String, value: String)]

    /// - Parameter manifest: The manifest of a store that this rank built alone.
    init(_ manifest: StoreManifest) throws {
        let files = manifest.files.map { ("dataset \($0.path)", "\($0.status.size) bytes") }
        lines =
            manifest.fingerprint.map { ($0.name, $0.value) } + files
            + [("program", "\(Eyrie.version), \(try Self.programDigest)")]
    }

    /// Lines of "name TAB value", line ends as spaces.
    init(decoding text: String) {
        lines = text.split(separator: "\n").map { line in
            let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
    }

    var encoded: String {
        func plain(_ text: String) -> String { String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 }) }
        return lines.map { "\(plain($0.name))\t\(plain($0.value))\n" }.joined()
    }

    static func == (a: RankRequest, b: RankRequest) -> Bool { a.encoded == b.encoded }

    /// What another one has differently, "name: one, not the other" each.
    func differences(from other: RankRequest) -> [String] {
        let (own, others) = (RankRequest(decoding: encoded).lines, other.lines)
        let names = own.map(\.name) + others.map(\.name).filter { name in !own.contains { $0.name == name } }
        return names.compactMap { name in
            let (mine, their) = (own.first { $0.name == name }?.value, others.first { $0.name == name }?.value)
            guard mine != their else { return nil }
            let shown = (mine ?? OptionSetting.absent(beside: their), their ?? OptionSetting.absent(beside: mine))
            return "\(name): \(shown.0), not \(shown.1)"
        }
    }

    /// Of the program's own file: two versions of a program may make other samples of the same options.
    private static var programDigest: String {
        get throws { fileExists("/proc/self/exe") ? try Digest(ofFile: "/proc/self/exe").hex : "unknown" }
    }
}

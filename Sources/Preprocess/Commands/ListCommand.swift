import Shared

/// `Preprocess list`: the stores in a cache.
struct ListOptions: Options {
    static let summary = "Lists the stores in a cache directory."

    var cache = CacheOption()
    @Flag("Write a JSON array of objects.") var json
}

enum ListCommand {
    static let command = Command("list", ListOptions.self, body: run)

    @Sendable private static func run(_ options: ListOptions) throws {
        let rows = try CacheDirectory(options.cache.cacheDir).entries().map(Row.init)
        if options.json {
            print(JSONText.array(rows.map(\.json)).compact)
            return
        }
        guard !rows.isEmpty else { return Log.line("\(options.cache.cacheDir): has no stores") }
        let table = [Row.titles] + rows.map(\.cells)
        let widths = Row.titles.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        for cells in table {
            var line = ""
            for (cell, width) in zip(cells, widths) {
                line += cell + String(repeating: " ", count: width - cell.count + 2)
            }
            print(String(line.reversed().drop(while: { $0 == " " }).reversed()))
        }
    }
}

/// A store as the list shows it.
private struct Row {
    static let titles = ["key", "state", "samples", "tokens", "size", "template", "tokenizer", "dataset"]

    let store: CacheDirectory.Entry

    var cells: [String] {
        let manifest = store.manifest
        let counts =
            manifest.map { [$0.counts.samples, $0.counts.tokens].map { shortNumber(Double($0)) } } ?? ["-", "-"]
        let digest = manifest.map { String($0.tokenizer.digest.prefix(8)) } ?? "-"
        return [store.key, store.state.name] + counts + [
            "\(shortNumber(Double(store.bytes)))B", manifest?.settings.known.template.chatTemplate ?? "-", digest,
            dataset,
        ]
    }

    /// The dataset's files; of a store that can't be read, why.
    private var dataset: String {
        switch store.state {
        case .unreadable(let message), .foreign(let message): return message
        case .olderFormat(let format), .newerFormat(let format): return "format \(format)"
        default: break
        }
        return store.manifest?.files.map(\.path).joined(separator: " ") ?? "-"
    }

    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("key", .string(store.key)), ("state", .string(store.state.description)), ("bytes", .int(store.bytes)),
        ]
        if let manifest = store.manifest { members.append(("manifest", manifest.json)) }
        return .object(members)
    }
}

import Shared

/// `Preprocess list`: the stores in a cache.
struct ListOptions: Options {
    static let summary = "Lists the stores in a cache directory."

    @Option("Directory of the sample stores.", value: "DIR") var cacheDir: String
    @Flag("Write a JSON array of objects.") var json
}

enum ListCommand {
    static let command = Command("list", ListOptions.self, body: run)

    @Sendable private static func run(_ options: ListOptions) throws {
        let rows = try rows(options.cacheDir)
        if options.json {
            print(JSONText.array(rows.map(\.json)).compact)
            return
        }
        guard !rows.isEmpty else { return Log.line("\(options.cacheDir): has no stores") }
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

    private static func rows(_ cacheDir: String) throws -> [Row] {
        var rows = try StoreLocation.stores(in: cacheDir).map(Row.init(store:))
        for path in try StoreLocation.unfinished(in: cacheDir) { rows.append(Row(unfinished: path)) }
        return rows.sorted { $0.key < $1.key }
    }
}

/// A store as the list shows it.
private struct Row {
    static let titles = ["key", "state", "samples", "tokens", "size", "template", "tokenizer", "dataset"]

    let key: String
    let state: String
    let bytes: Int
    let manifest: StoreManifest?

    /// A store that can't be read is listed with the reason.
    init(store path: String) throws {
        key = Self.key(path)
        bytes = try FileStatus(of: path).size
        do {
            let manifest = try SampleStore(reading: path).manifest
            self.manifest = manifest
            state = Self.state(manifest)
        } catch {
            manifest = nil
            state = "unreadable: \(error)"
        }
    }

    init(unfinished path: String) {
        key = Self.key(path)
        bytes = (try? FileStatus(of: path).size) ?? 0
        manifest = try? SampleStoreWriter.manifest(ofUnfinished: path)
        state = "unfinished"
    }

    private static func key(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        return String(name.prefix { $0 != "." })
    }

    private static func state(_ manifest: StoreManifest) -> String {
        let paths = manifest.files.map(\.path)
        guard let missing = paths.first(where: { !fileExists($0) }) else {
            let change = try? StoreLocation.change(since: manifest, dataPaths: paths)
            return change == nil ? "complete" : "out of date"
        }
        return paths.count == 1 ? "dataset missing" : "dataset missing: \(missing)"
    }

    var cells: [String] {
        let counts =
            manifest.map { [$0.counts.samples, $0.counts.tokens].map { shortNumber(Double($0)) } } ?? ["-", "-"]
        let digest = manifest?.setting("tokenizer digest").map { String($0.prefix(8)) } ?? "-"
        let dataset = manifest?.files.map(\.path).joined(separator: " ") ?? "-"
        return [key, state] + counts + [
            "\(shortNumber(Double(bytes)))B", manifest?.setting(StoreSetting.chatTemplate) ?? "-", digest, dataset,
        ]
    }

    var json: JSONText {
        var members: [(String, JSONText)] = [("key", .string(key)), ("state", .string(state)), ("bytes", .int(bytes))]
        if let manifest { members.append(("manifest", manifest.json)) }
        return .object(members)
    }
}

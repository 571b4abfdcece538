import Shared

/// `Preprocess diff`: what two stores have in common and what not.
struct DiffOptions: Options {
    static let summary = "Compares two stores: settings, counts, and every sample."

    var store = StoreChoice()
    @Option("Directory of the other store, if it is another.", value: "DIR") var otherCacheDir: String?
    @Option("The dataset whose store is the other; not needed where its directory has only one.", value: "FILE...")
    var otherDataPath: [String] = []
    @Flag("Write one JSON object.") var json

    func validate() throws(OptionsError) {
        if otherCacheDir == nil && otherDataPath.isEmpty {
            throw .rule("the other store needs --other-cache-dir or --other-data-path")
        }
    }
}

enum DiffCommand {
    static let command = Command("diff", DiffOptions.self, body: run)

    /// - Throws: `StoreError` if they differ, so that scripts can tell.
    @Sendable private static func run(_ options: DiffOptions) throws {
        let cacheDir = options.otherCacheDir ?? options.store.cacheDir
        let first = try options.store.open()
        let second =
            try options.otherDataPath.isEmpty
            ? StoreChoice.only(in: cacheDir, holding: options.store.contents)
            : StoreChoice.open(
                cacheDir: cacheDir, dataPaths: options.otherDataPath, holding: options.store.contents ?? .samples)
        let difference = try StoreDifference(first, second)
        print(options.json ? difference.json.compact : difference.text)
        guard difference.isEmpty else { throw StoreError(first.path, "differs from \(second.path)") }
    }
}

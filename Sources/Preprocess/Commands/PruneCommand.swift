import Shared

/// `Preprocess prune`: removes from a cache what no training would use.
struct PruneOptions: Options {
    static let summary =
        "Removes stores that can't be used from a cache: unfinished, out of date, unreadable. What isn't Eyrie's or is of a "
        + "newer format stays."

    var cache = CacheOption()
    @Flag("Remove also stores whose dataset isn't there any more.") var missing
    @Flag("Only print what would be removed.") var dryRun
}

enum PruneCommand {
    static let command = Command("prune", PruneOptions.self, body: run)

    @Sendable private static func run(_ options: PruneOptions) throws {
        Interrupt.install()
        var (count, bytes) = (0, 0)
        let rules = CacheDirectory.PruneRules(removesMissing: options.missing, isDryRun: options.dryRun)
        try CacheDirectory(options.cache.cacheDir).prune(rules) { event in
            switch event {
            case .busy(let path): Log.line("being built: \(path)")
            case .removed(let store):
                print("\(options.dryRun ? "would remove" : "removed"): \(store.path): \(store.state)")
                (count, bytes) = (count + 1, bytes + store.bytes)
            }
        }
        print("\(count) \(count == 1 ? "store" : "stores"), \(shortNumber(Double(bytes)))B")
    }
}

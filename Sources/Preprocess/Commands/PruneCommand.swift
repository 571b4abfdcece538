import Shared

/// `Preprocess prune`: removes from a cache what no training would use.
struct PruneOptions: Options {
    static let summary =
        "Removes stores that can't be used from a cache: unfinished, out of date, unreadable; and data of standard input "
        + "that no store is of, a day after they came. What isn't Eyrie's or is of a newer format stays."

    var cache = CacheOption()
    @Flag("Remove also stores whose dataset isn't there any more.") var missing
    @Flag("Only print what would be removed.") var dryRun
}

enum PruneCommand {
    static let command = Command("prune", PruneOptions.self, body: run)

    @Sendable private static func run(_ options: PruneOptions) throws {
        Interrupt.install()
        var (stores, inputs, bytes) = (0, 0, 0)
        let verb = options.dryRun ? "would remove" : "removed"
        let rules = CacheDirectory.PruneRules(removesMissing: options.missing, isDryRun: options.dryRun)
        try CacheDirectory(options.cache.cacheDir).prune(rules) { event in
            switch event {
            case .busy(let path): Log.line("being built: \(path)")
            case .removed(let store):
                print("\(verb): \(store.path): \(store.state)")
                (stores, bytes) = (stores + 1, bytes + store.bytes)
            case .removedInput(let path, let size):
                print("\(verb): \(path): data of no store")
                (inputs, bytes) = (inputs + 1, bytes + size)
            }
        }
        let others = inputs > 0 ? ", \(inputs) \(inputs == 1 ? "input" : "inputs")" : ""
        print("\(stores) \(stores == 1 ? "store" : "stores")\(others), \(shortNumber(Double(bytes)))B")
    }
}

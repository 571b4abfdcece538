@preconcurrency import Glibc
import Shared

/// `Preprocess prune`: removes from a cache what no training would use.
struct PruneOptions: Options {
    static let summary = "Removes stores that can't be used from a cache: unfinished, out of date, unreadable."

    @Option("Directory of the sample stores.", value: "DIR") var cacheDir: String
    @Flag("Remove also stores whose dataset isn't there any more.") var missing
    @Flag("Only say what would be removed.") var dryRun
}

enum PruneCommand {
    static let command = Command("prune", PruneOptions.self, body: run)

    @Sendable private static func run(_ options: PruneOptions) throws {
        var (count, bytes) = (0, 0)
        for store in try CachedStore.all(in: options.cacheDir) where isUseless(store, options) {
            // What another process is building is nobody else's.
            let final = finalPath(store.path)
            guard let lock = try BuildLock(ifFree: final) else {
                Log.line("being built: \(final)")
                continue
            }
            if !options.dryRun { try remove(store.path) }
            withExtendedLifetime(lock) {}
            print("\(options.dryRun ? "would remove" : "removed"): \(store.path): \(store.state)")
            (count, bytes) = (count + 1, bytes + store.bytes)
        }
        if !options.dryRun { try removeLeftovers(options.cacheDir) }
        print("\(count) \(count == 1 ? "store" : "stores"), \(shortNumber(Double(bytes)))B")
    }

    private static func isUseless(_ store: CachedStore, _ options: PruneOptions) -> Bool {
        switch store.state {
        case .complete: false
        case .datasetMissing: options.missing
        case .outOfDate, .unfinished, .unreadable: true
        }
    }

    private static func finalPath(_ path: String) -> String {
        path.hasSuffix(".partial") ? String(path.dropLast(".partial".count)) : path
    }

    /// What ranks left that were ended; locks and lists of files whose stores are gone.
    private static func removeLeftovers(_ cacheDir: String) throws {
        for name in try listDirectory(cacheDir) {
            guard let end = name.firstRange(of: RankExchange.suffix)?.lowerBound else { continue }
            let store = "\(cacheDir)/\(name[..<end])"
            guard let lock = try BuildLock(ifFree: store) else { continue }
            try RankExchange.removeLeftovers(of: store)
            withExtendedLifetime(lock) {}
        }
        let names = Set(try listDirectory(cacheDir))
        for name in names.sorted() {
            if name.hasSuffix(".mdb.lock") {
                let store = String(name.dropLast(".lock".count))
                guard !names.contains(store), !names.contains(store + ".partial"),
                    !fileExists("\(cacheDir)/\(store)"), let lock = try BuildLock(ifFree: "\(cacheDir)/\(store)")
                else { continue }
                try lock.removeFile()
            } else if name.hasSuffix(".files") || name.hasSuffix(".mdb.sealed") {
                let key = name.prefix { $0 != "." }
                guard key.utf8.count == 32, !fileExists("\(cacheDir)/\(key).mdb"),
                    !fileExists("\(cacheDir)/\(key).mdb.partial")
                else { continue }
                try remove("\(cacheDir)/\(name)")
            }
        }
    }

    private static func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw FileError(path, "remove it") }
    }
}

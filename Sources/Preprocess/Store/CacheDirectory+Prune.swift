@preconcurrency import Glibc
import Shared

extension CacheDirectory {
    /// What is removed besides stores that nothing can be done with.
    struct PruneRules {
        /// Whether stores are removed whose dataset isn't there any more.
        var removesMissing = false
        /// Whether it is only reported what would be removed; then nothing is made or removed, not even a lock.
        var isDryRun = false
    }

    enum PruneEvent {
        case removed(Entry)
        /// Another process has the lock.
        case busy(path: String)
    }

    /// Removes stores that can't be used, and what ended builds have left beside any.
    ///
    /// What is foreign or of a newer format stays, with all that bears its key.
    func prune(_ rules: PruneRules, event: (PruneEvent) -> Void) throws {
        for key in try Set(keys() + rankKeys()).sorted() { try prune(key, rules, event: event) }
    }

    private func rankKeys() throws(FileError) -> [String] {
        try directory.names().compactMap { Self.split($0) }.filter { $0.rest.hasPrefix(Self.ranksSuffix) }.map(\.key)
    }

    /// Removes of one key what can't be used, as it is when this process has its lock.
    func prune(_ key: String, _ rules: PruneRules, event: (PruneEvent) -> Void) throws {
        try Interrupt.check()
        let store = path(.store, key)
        // Files of a key are made under its lock: without the lock's file nobody builds, and it is foreign's own name.
        let hadLock = try hasLock(key)
        let lock = hadLock || !rules.isDryRun ? try BuildLock(ifFree: store, makesFile: !rules.isDryRun) : nil
        guard lock != nil || !hadLock else { return event(.busy(path: store)) }
        defer { withExtendedLifetime(lock) {} }
        let found = try [Kind.store, .partial].compactMap { try entry($0, key, hasLock: hadLock) }
        let isNotOurs = found.contains { entry in
            switch entry.state {
            case .foreign, .newerFormat: true
            default: false
            }
        }
        if isNotOurs {
            if !hadLock { try lock?.removeFile() }
            return
        }
        var remaining = 0
        for entry in found {
            guard isUseless(entry, rules) else {
                remaining += 1
                continue
            }
            if !rules.isDryRun { try directory.remove(Self.lastName(entry.path)) }
            event(.removed(entry))
        }
        guard !rules.isDryRun else { return }
        if hadLock { try removeLeftovers(key, alsoFiles: remaining == 0) }
        if remaining == 0 || !hadLock { try lock?.removeFile() }
    }

    private func isUseless(_ entry: Entry, _ rules: PruneRules) -> Bool {
        switch entry.state {
        case .complete, .foreign, .newerFormat: false
        case .datasetMissing: rules.removesMissing
        case .outOfDate, .unfinished, .unreadable, .olderFormat: true
        }
    }

    private static func lastName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}

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
        /// Data of standard input or a pipe, of which there is no store any more.
        case removedInput(path: String, bytes: Int)
        /// Another process has the lock.
        case busy(path: String)
    }

    /// Removes stores that can't be used, and what ended builds have left beside any.
    ///
    /// What is foreign or of a newer format stays, with all that bears its key.
    func prune(_ rules: PruneRules, event: (PruneEvent) -> Void) throws {
        var removed: Set<String> = []
        var isBusy = false
        for key in try Set(keys() + rankKeys()).sorted() {
            try prune(key, rules) { what in
                switch what {
                case .removed(let entry): removed.insert(entry.path)
                case .busy: isBusy = true
                case .removedInput: break
                }
                event(what)
            }
        }
        // What is being built may be of an input that no manifest names yet.
        if !isBusy { try pruneInputs(rules, except: removed, event: event) }
    }

    /// How old an input is at least that is removed: a build may be about to begin, or still write it.
    static let inputAge = Duration.seconds(24 * 60 * 60)

    /// Removes data that came through a pipe and that no remaining store is built from, nor can be any more.
    ///
    /// - Parameter removed: Paths of stores that are removed, or would be.
    private func pruneInputs(_ rules: PruneRules, except removed: Set<String>, event: (PruneEvent) -> Void) throws {
        let stores = try entries().filter { !removed.contains($0.path) }
        // Stores of a newer format don't tell.
        guard stores.allSatisfy({ $0.manifest != nil || $0.isForeign }) else { return }
        let used = Set(stores.flatMap { $0.manifest?.files ?? [] }.map { Self.lastName($0.path) })
        let now = Int(time(nil))
        for name in try directory.names() where SpooledInput.isName(name) && !used.contains(name) {
            guard let status = try directory.status(of: name), status.kind == .file,
                now - status.modifiedNanoseconds / 1_000_000_000 >= Int(Self.inputAge.seconds)
            else { continue }
            if !rules.isDryRun { try directory.remove(name) }
            event(.removedInput(path: directory.path(of: name), bytes: status.size))
        }
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
        if found.contains(where: { $0.isForeign || $0.isNewer }) {
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

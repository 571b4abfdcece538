@preconcurrency import Glibc
import Shared

/// How the ranks of one build work together: through files in a directory beside the store.
///
/// Every rank reads the whole dataset, which is quick, and makes samples of every n-th batch of records, which isn't.
/// Rank 0 holds the build's lock, writes what the others make as if it had made it itself, and so the store's bytes don't
/// depend on the number of ranks.
///
///     hello-R    by rank R: its own random number, and what it was asked for; touched every second while it works
///     plan       by rank 0: the numbers of all ranks, and what there is to do; touched every second
///     rank-R.N   by rank R: see `RankStream`
///
/// A rank believes a plan only if its own number is in it. So what a run of the same name has left, that was killed
/// before, misleads nobody.
final class RankExchange {
    /// How long another rank may give no sign of life before the build ends.
    static let patience = Duration.seconds(120)

    let launched: LaunchedRank
    private let request: RankRequest
    private let patience: Duration
    private let cache: String
    private let name: String
    private var directory: Directory?
    private var heartbeat: Heartbeat?
    private var streams: [RankStreamReader] = []
    private var pulses: [Pulse] = []

    /// - Parameters:
    ///   - store: The store's path.
    ///   - request: What this rank was asked for.
    init(_ launched: LaunchedRank, store: String, request: RankRequest, patience: Duration = RankExchange.patience) {
        self.launched = launched
        self.request = request
        self.patience = patience
        cache = Shared.directory(of: store)
        let file = store.split(separator: "/").last.map(String.init) ?? store
        name = (file.hasSuffix(".mdb") ? String(file.dropLast(4)) : file) + CacheDirectory.ranksSuffix + launched.launch
        pulses = (0..<launched.count).map { Pulse(of: "rank \($0)", limit: patience) }
    }

    deinit { heartbeat?.stop() }

    /// Whose batch it is, counted from 0.
    func owner(ofBatch number: Int) -> Int { number % launched.count }

    func isOwn(_ number: Int) -> Bool { owner(ofBatch: number) == launched.rank }

    // MARK: - Rank 0

    /// Waits for the other ranks and tells them what to do.
    /// - Parameter skip: Records that are in the store already; nil if there is nothing to do.
    /// - Throws: `LaunchError` if a rank doesn't come, or was asked for something else.
    func begin(skip: Int?) throws {
        // From now on: rank 0 may have waited long for its lock.
        pulses = (0..<launched.count).map { Pulse(of: "rank \($0)", limit: patience) }
        let directory = try makeDirectory()
        var numbers: [String] = []
        for rank in 1..<launched.count { numbers.append(try greeting(of: rank, in: directory)) }
        let task = skip.map(String.init) ?? "nothing"
        try directory.replace("plan", ([task] + numbers).joined(separator: "\n").utf8)
        guard let plan = try directory.open("plan", O_RDWR) else { return }
        heartbeat = try Heartbeat(plan)
        streams = (0..<launched.count).map { RankStreamReader(directory, rank: $0) }
    }

    /// An empty directory for this run.
    private func makeDirectory() throws -> Directory {
        let parent = try Directory(cache)
        try parent.removeTree(name)
        let made = try parent.makeDirectory(name)
        directory = made
        return made
    }

    /// The random number of a rank, when it has come.
    private func greeting(of rank: Int, in directory: Directory) throws -> String {
        while true {
            if let text = try directory.contents("hello-\(rank)") {
                let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", maxSplits: 1)
                let other = RankRequest(decoding: lines.count > 1 ? String(lines[1]) : "")
                let differences = other.differences(from: request)
                guard differences.isEmpty else {
                    throw LaunchError(
                        message: "rank \(rank) was asked for something else than rank 0: "
                            + differences.joined(separator: "; "))
                }
                return lines.first.map(String.init) ?? ""
            }
            try pulses[rank].check("hello-\(rank)", in: directory)
            try pause()
        }
    }

    /// Waits for a batch of another rank.
    func take(_ number: Int) throws -> [SourceRecord] {
        let rank = owner(ofBatch: number)
        switch try message(of: rank) {
        case .batch(number, let records): return records
        case .failure(let message): throw LaunchError(message: "rank \(rank): \(message)")
        case .batch(let other, _):
            throw LaunchError(message: "rank \(rank) sent batch \(other), should be \(number)")
        case .end:
            throw LaunchError(message: "rank \(rank) read a shorter dataset than rank 0: it has no batch \(number)")
        }
    }

    /// Compares what all ranks have read, when each has sent all its batches.
    func check(_ digests: [String]) throws {
        for rank in 1..<launched.count {
            switch try message(of: rank) {
            case .end(digests): continue
            case .failure(let message): throw LaunchError(message: "rank \(rank): \(message)")
            case .end, .batch:
                throw LaunchError(message: "rank \(rank) read another dataset than rank 0: is its copy an old one?")
            }
        }
    }

    private func message(of rank: Int) throws -> RankStream.Message {
        guard let directory else { preconditionFailure("a build that began") }
        while true {
            if let message = try streams[rank].next() { return message }
            try pulses[rank].check("hello-\(rank)", in: directory)
            try pause()
        }
    }

    /// Ends the other ranks' work, and removes the files.
    ///
    /// Also where rank 0 fails before `begin`, so that the others report why.
    /// - Parameter failure: Why there is no more to do; nil if all is done.
    func end(failure: String? = nil) throws {
        let hasBegun = directory != nil
        guard let directory = try directory ?? (failure == nil ? nil : makeDirectory()) else { return }
        heartbeat?.stop()
        if let failure { try directory.replace("plan", "failed\n\(failure)".utf8) }
        // Time for the others to greet, if they haven't yet.
        if !hasBegun { usleep(500_000) }
        // Ranks that have nothing to do or must end take their greeting back when they know.
        let start = ContinuousClock.now
        while try (1..<launched.count).contains(where: { try directory.status(of: "hello-\($0)") != nil }),
            .now - start < .seconds(failure == nil ? 10 : 2)
        { usleep(2000) }
        try Directory(cache).removeTree(name)
    }

    // MARK: - Other ranks

    /// Waits until rank 0 says from which record on there is something to do; nil if there is nothing.
    func plan() throws -> Int? {
        let number = "\(UInt64.random(in: .min ... .max))"
        var hello: OpenFile?
        while true {
            let directory = try Directory(cache).directory(name)
            if let directory, hello.map(\.isRemoved) ?? true {
                // Removed, because the directory was an ended run's.
                heartbeat?.stop()
                try? directory.replace("hello-\(launched.rank)", "\(number)\n\(request.encoded)".utf8)
                hello = try directory.open("hello-\(launched.rank)", O_RDWR)
                heartbeat = try hello.map { file throws(WorkerThreadError) in try Heartbeat(file) }
            }
            if let directory, let text = try? directory.contents("plan") {
                let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
                if lines.first == "failed", hello != nil {
                    leave(directory)
                    throw LaunchError(message: "rank 0: " + lines.dropFirst().joined(separator: " "))
                }
                if lines.dropFirst().contains(number) {
                    self.directory = directory
                    guard let skip = Int(lines[0]) else {
                        leave(directory)
                        return nil
                    }
                    return skip
                }
            }
            try pause()
        }
    }

    /// Where this rank's batches go; after the last one, `leave`.
    func writer() throws -> RankStreamWriter {
        guard let directory else { preconditionFailure("a plan was read") }
        return try RankStreamWriter(directory, rank: launched.rank) { [self] in
            guard let text = try directory.contents("plan") else { throw LaunchError(message: "rank 0 has ended") }
            if text.starts(with: "failed".utf8) { throw LaunchError(message: "rank 0 has ended with an error") }
            try pulses[0].check("plan", in: directory)
            try pause()
        }
    }

    /// Takes back the greeting: this rank does nothing more.
    func leave() { directory.map(leave) }

    private func leave(_ directory: Directory) {
        heartbeat?.stop()
        try? directory.remove("hello-\(launched.rank)")
    }

    private func pause() throws {
        try Interrupt.check()
        usleep(2000)
    }
}

import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

struct RankTests {
    private static func variables(_ values: [String: String]) -> (String) -> String? { { values[$0] } }

    @Test func rankIsWhatTheLauncherSets() throws {
        let openMPI = ["OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_NAMESPACE": "12.prterun-a@1"]
        let current = try LaunchedRank.current(Self.variables(openMPI))
        #expect(current == LaunchedRank(rank: 2, count: 4, launch: "12_prterun_a_1"))
        #expect(try LaunchedRank.current(Self.variables([:])) == nil)
        let alone = ["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "PMIX_NAMESPACE": "12"]
        #expect(try LaunchedRank.current(Self.variables(alone)) == nil)
        #expect(throws: LaunchError.self) {
            try LaunchedRank.current(Self.variables(["PMI_RANK": "0", "PMI_SIZE": "2"]))
        }
    }

    /// A rank that is a thread of this process.
    private func exchange(
        _ rank: Int, of count: Int, _ path: String, _ data: String, patience: Duration = .seconds(60),
        setting: String = "none"
    ) throws -> RankExchange {
        var manifest = try byteManifest([data])
        manifest.derived = [.init("max length", setting)]
        return RankExchange(
            LaunchedRank(rank: rank, count: count, launch: "x"), store: path, request: try RankRequest(manifest),
            patience: patience)
    }

    private func build(_ exchange: RankExchange, _ path: String, _ data: String) throws {
        do {
            let writer = try SampleStoreWriter(path: path, manifest: byteManifest([data]))
            try exchange.begin(skip: writer.recordsDone)
            _ = try bytePipeline([data], threads: 1, blockSize: 1000).run(into: writer, with: exchange)
            try exchange.end()
        } catch {
            try exchange.end(failure: "\(error)")
            throw error
        }
    }

    private func help(_ exchange: RankExchange, _ data: String) throws {
        guard let skip = try exchange.plan() else { return }
        try bytePipeline([data], threads: 1, blockSize: 1000).runShare(of: exchange, skip: skip)
    }

    /// Ranks as threads: what they write together is what one writes alone, also after what a killed run of the same
    /// name has left.
    @Test(arguments: [2, 3, 5]) func ranksGiveTheStoreOfOne(count: Int) throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(400).joined(separator: "\n"))
        try buildByteStore(scratch.file("alone.mdb"), [data], blockSize: 1000)
        let path = scratch.file("together.mdb")
        let stale = scratch.file("together.mdb.ranks-x")
        try makeDirectory(stale)
        for (name, text) in [("plan", "7\n1\n2"), ("rank-1.0", "old"), ("hello-1", "1\n")] {
            _ = try scratch.write("together.mdb.ranks-x/\(name)", text)
        }
        let others = try (1..<count).map { rank in
            try WorkerThread {
                do {
                    try help(exchange(rank, of: count, path, data), data)
                } catch {
                    Issue.record(error)
                }
            }
        }
        usleep(50_000)
        try build(exchange(0, of: count, path, data), path, data)
        for thread in others { thread.join() }
        #expect(try readFile(path) == readFile(scratch.file("alone.mdb")))
        #expect(try listDirectory(scratch.path).filter { $0.contains("ranks-") }.isEmpty)
    }

    /// Runs rank 1 in a thread and rank 0 here, both of which fail.
    private func failures(
        _ path: String, _ data: String, patience: Duration = .seconds(60), other: @escaping @Sendable () throws -> Void
    ) throws -> (own: String, other: String) {
        let message = Mutex("")
        let thread = try WorkerThread {
            do { try other() } catch { message.withLock { $0 = "\(error)" } }
        }
        var own = ""
        do { try build(exchange(0, of: 2, path, data, patience: patience), path, data) } catch { own = "\(error)" }
        thread.join()
        return (own, message.withLock { $0 })
    }

    @Test func ranksThatWereAskedForSomethingElseAreRefused() throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(40).joined(separator: "\n"))
        let path = scratch.file("store.mdb")
        let (own, other) = try failures(path, data) {
            try help(exchange(1, of: 2, path, data, setting: "64"), data)
        }
        #expect(own == "rank 1 was asked for something else than rank 0: max length: 64, not none")
        #expect(other == "rank 0: " + own && !fileExists(path))
        #expect(try listDirectory(scratch.path).filter { $0.contains("ranks-") }.isEmpty)
    }

    @Test func anErrorOfARankIsRankZerosToo() throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(400).joined(separator: "\n"))
        let (path, none) = (scratch.file("store.mdb"), scratch.file("none.jsonl"))
        let (own, other) = try failures(path, data) {
            let exchange = try exchange(1, of: 2, path, data)
            let skip = try exchange.plan() ?? 0
            try bytePipeline([none]).runShare(of: exchange, skip: skip)
        }
        #expect(own.hasPrefix("rank 1: ") && own.contains("none.jsonl: can't open it") && other.contains("none.jsonl"))
    }

    /// What a full disk or an unreadable store would do.
    @Test func othersReportWhyRankZeroFailedBeforeItBegan() throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(4).joined(separator: "\n"))
        let path = scratch.file("store.mdb")
        let message = Mutex("")
        let thread = try WorkerThread {
            do { try help(exchange(1, of: 2, path, data), data) } catch { message.withLock { $0 = "\(error)" } }
        }
        try exchange(0, of: 2, path, data).end(failure: "the disk is full")
        thread.join()
        #expect(message.withLock { $0 } == "rank 0: the disk is full")
        #expect(try listDirectory(scratch.path) == ["data.jsonl"])
    }

    /// One that never comes, and one that comes and is gone.
    @Test(arguments: [false, true]) func aDeadRankEndsTheBuild(comes: Bool) throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(400).joined(separator: "\n"))
        let path = scratch.file("store.mdb")
        let (own, _) = try failures(path, data, patience: .seconds(3)) {
            guard comes else { return }
            // Whose heart stops with it.
            _ = try exchange(1, of: 2, path, data).plan()
        }
        #expect(own == "rank 1 has given no sign of life for 3 s")
        #expect(try listDirectory(scratch.path).filter { $0.contains("ranks-") }.isEmpty)
    }

    @Test func ranksThatReadOtherDataAreFound() throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(60).joined(separator: "\n"))
        let text = try String(contentsOfFile: data, encoding: .utf8)
        let old = try scratch.write("old.jsonl", text.replacing("row-0", with: "row-9"))
        let path = scratch.file("store.mdb")
        let (own, _) = try failures(path, data) {
            let exchange = try exchange(1, of: 2, path, data)
            let skip = try exchange.plan() ?? 0
            try bytePipeline([old], threads: 1, blockSize: 1000).runShare(of: exchange, skip: skip)
        }
        #expect(own == "rank 1 read another dataset than rank 0: is its copy an old one?" && !fileExists(path))
    }

    private static let records: [SourceRecord] = {
        let source = SampleSource(file: 1, line: 7, id: [65])
        let samples = [
            Sample(inputIDs: [5, 70000], lossMask: [false, true]),
            Sample(inputIDs: [1, 2, 3], lossMask: [false, true, false], leadingPadding: 1, trailingPadding: 1),
        ]
        return [
            SourceRecord(
                source: source, offset: 9, outcome: .kept(samples), repairs: [.init("odd", droppedMessages: 2)],
                truncated: 1, leftOut: 3),
            SourceRecord(source: source, offset: 10, outcome: .rejected(reason: "r", detail: "d")),
        ]
    }()

    @Test func messagesArriveWholeOrNotAtAll() throws {
        let scratch = try ScratchDirectory()
        let directory = try Directory(scratch.path)
        let reader = RankStreamReader(directory, rank: 1)
        #expect(try reader.next() == nil)
        let writer = try RankStreamWriter(directory, rank: 1) {}
        let messages: [RankStream.Message] = [
            .batch(1, Self.records), .end(digests: ["a", "b"]), .failure("no"),
        ]
        for message in messages {
            #expect(try reader.next() == nil)
            try writer.send(message)
            #expect("\(try #require(try reader.next()))" == "\(message)")
        }
        let bytes = try readFile(scratch.file("rank-1.0"))
        for size in 0..<bytes.count {
            try Data(bytes[..<size]).write(to: URL(filePath: scratch.file("rank-2.0")))
            let reader = RankStreamReader(directory, rank: 2)
            while try reader.next() != nil {}
        }
    }

    /// A rank that is read slowly waits, and never has more than two files on the disk.
    @Test func aRankWaitsForItsReader() throws {
        let scratch = try ScratchDirectory()
        let directory = try Directory(scratch.path)
        let reader = RankStreamReader(directory, rank: 1)
        var (waited, received) = (0, 0)
        func receive() throws {
            guard case .batch(received, _)? = try reader.next() else { return }
            received += 1
        }
        let writer = try RankStreamWriter(directory, rank: 1, fileBytes: 300) {
            waited += 1
            try receive()
        }
        for number in 0..<200 {
            try writer.send(.batch(number, Self.records))
            #expect(try directory.names().count <= 2)
        }
        while received < 200 { try receive() }
        #expect(waited > 50)
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct RankTests {
    private static func variables(_ values: [String: String]) -> (String) -> String? { { values[$0] } }

    @Test func placeIsWhatTheLauncherSays() throws {
        let openMPI = ["OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_NAMESPACE": "12.prterun-a@1"]
        let place = try LaunchedRank.current(Self.variables(openMPI))
        #expect(place == LaunchedRank(rank: 2, count: 4, launch: "12_prterun_a_1"))
        #expect(try LaunchedRank.current(Self.variables([:])) == nil)
        let alone = ["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "PMIX_NAMESPACE": "12"]
        #expect(try LaunchedRank.current(Self.variables(alone)) == nil)
        #expect(throws: LaunchError.self) {
            try LaunchedRank.current(Self.variables(["PMI_RANK": "0", "PMI_SIZE": "2"]))
        }
    }

    /// Ranks as threads: what they write together is what one writes alone, also behind records that are done.
    @Test(arguments: [2, 3, 5]) func ranksGiveTheStoreOfOne(count: Int) throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", conversationLines(400).joined(separator: "\n"))
        try buildByteStore(scratch.file("alone.mdb"), [data], blockSize: 1000)
        let path = scratch.file("together.mdb")
        let others = try (1..<count).map { rank in
            try WorkerThread {
                let exchange = RankExchange(LaunchedRank(rank: rank, count: count, launch: "x"), store: path)
                do {
                    guard let skip = try exchange.plan() else { return }
                    try bytePipeline([data], threads: 1, blockSize: 1000).runShare(of: exchange, skip: skip)
                } catch {
                    Issue.record(error)
                }
            }
        }
        let exchange = RankExchange(LaunchedRank(rank: 0, count: count, launch: "x"), store: path)
        let writer = try SampleStoreWriter(path: path, manifest: byteManifest([data]))
        try exchange.begin(skip: writer.recordsDone)
        _ = try bytePipeline([data], threads: 1, blockSize: 1000).run(into: writer, with: exchange)
        try exchange.end()
        for thread in others { thread.join() }
        #expect(try readFile(path) == readFile(scratch.file("alone.mdb")))
        #expect(try listDirectory(scratch.path).filter { $0.contains("ranks-") }.isEmpty)
    }

    @Test func batchesArriveWholeOrNotAtAll() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("rank-1")
        let reader = RecordFileReader(path)
        #expect(try reader.next(number: 1) == nil)
        let writer = try RecordFileWriter(path)
        let source = SampleSource(file: 1, line: 7, id: [65])
        let samples = [
            Sample(inputIDs: [5, 70000], lossMask: [false, true]), Sample(inputIDs: [1], lossMask: [true]),
        ]
        let records = [
            SourceRecord(
                source: source, offset: 9, outcome: .kept(samples), repairs: [.init("odd", droppedMessages: 2)],
                truncated: 1, leftOut: 3),
            SourceRecord(source: source, offset: 10, outcome: .rejected(reason: "r", detail: "d")),
        ]
        try writer.append(records, number: 1)
        let got = try #require(try reader.next(number: 1))
        #expect("\(got)" == "\(records)")
        #expect(try reader.next(number: 3) == nil)
        try writer.fail("rank 1: no")
        #expect(throws: StoreError(path, "rank 1: no")) { try reader.next(number: 3) }
    }
}

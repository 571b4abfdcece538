import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// Whatever is in a file, it is read as it was or refused with a sentence.
struct StoreFuzzTests {
    private static let names = ["group", "index", "notes", "counts", "ranks", "records"]
    private static let vocabSize = 1000

    /// Sound contents of every kind of record, by name.
    private let contents: [String: [UInt8]]
    private let ranks: TokenRanks
    /// The tokens of each sample of the group.
    private let lengths: [Int32]
    private let supervisedTokens: Int

    init() {
        let records = storeRecords(60)
        let samples = records.flatMap(\.samples)
        var counts = [Int](repeating: 0, count: Self.vocabSize)
        for id in samples.flatMap(\.inputIDs) { counts[Int(id)] += 1 }
        ranks = TokenRanks(counts: counts)
        supervisedTokens = counts.reduce(0, +)
        lengths = samples.prefix(8).map { Int32($0.inputIDs.count) }
        var group = SampleGroupWriter()
        for sample in samples.prefix(8) { group.add(sample, SampleSource(file: 0, line: 1, id: [65]), ranks: ranks) }
        let index = StoreBlockIndex(firstGroup: 0, firstSample: 0, groups: [.init(size: 99, lengths: lengths)])
        let notes = (0..<9).map {
            SourceNote(kind: .rejected, file: 0, line: $0, offset: $0 * 9, reason: "odd", detail: "#\($0)")
        }
        var exchanged = ByteWriter()
        SourceRecord.encode(records, to: &exchanged)
        contents = [
            "group": group.finish(number: 0, firstSample: 0), "index": index.encoded(block: 0),
            "notes": SourceNote.encode(notes, block: 0), "counts": TokenCounts.encode(counts.map(UInt64.init)),
            "ranks": ranks.encoded, "records": exchanged.bytes,
        ]
    }

    private func read(_ kind: String, _ bytes: [UInt8]) throws(DecodingFailure) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(DecodingFailure) in
                switch kind {
                case "group":
                    let group = try SampleGroup(Array(bytes), number: 0, firstSample: 0, lengths: lengths[...])
                    for index in lengths.indices {
                        let sample = try group.sample(at: index, ranks: ranks)
                        #expect(sample.inputIDs.count == lengths[index] && sample.lossMask.count == lengths[index])
                        #expect(sample.inputIDs.allSatisfy { (0..<Int32(Self.vocabSize)).contains($0) })
                    }
                case "index": _ = try StoreBlockIndex(decoding: bytes, block: 0, firstGroup: 0, firstSample: 0)
                case "notes": _ = try SourceNote.decode(bytes, block: 0)
                case "counts":
                    _ = try TokenCounts.decode(bytes, vocabSize: Self.vocabSize, total: supervisedTokens)
                case "ranks": _ = try TokenRanks(decoding: bytes, vocabSize: Self.vocabSize)
                default:
                    var reader = ByteReader(bytes)
                    _ = try SourceRecord.decode(&reader)
                }
            }
        }
        try result.get()
    }

    @Test(arguments: names) func recordsAreReadOrRefused(kind: String) throws {
        let content = try #require(contents[kind])
        try read(kind, content)
        try Fuzzing("store-\(kind)", iterations: 2000).run { generator in
            let damaged = Mutator().mutate(content, using: &generator)
            do throws(DecodingFailure) {
                try read(kind, damaged)
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }

    @Test func storesAreReadOrRefused() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("store.mdb")
        try buildStore(path, storeRecords(150))
        let original = try readFile(path)
        let damaged = scratch.file("damaged.mdb")
        try Fuzzing("store", iterations: 200).run { generator in
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                // Half of the damage goes to the pages that lead to the others.
                let limit = Bool.random(using: &generator) ? min(bytes.count, 3 * 4096) : bytes.count
                bytes[Int.random(in: 0..<limit, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            try Data(bytes).write(to: URL(filePath: damaged))
            do {
                try SampleStore(reading: damaged).verify()
            } catch {
                #expect("\(error)".contains("damaged.mdb"), "\(error)")
            }
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import Shared

/// Whatever is in a file, it is read as it was or refused with a sentence.
struct StoreFuzzTests {
    private static let names = ["group", "index", "notes", "counts", "ranks", "records"]

    /// Sound contents of every kind of record, and what reads them.
    private static func contents() -> [[UInt8]] {
        let records = storeRecords(60)
        var counts = [Int](repeating: 0, count: 1000)
        var group = SampleGroupWriter()
        let samples = records.flatMap { record -> [Sample] in
            guard case .kept(let samples) = record.outcome else { return [] }
            return samples
        }
        for id in samples.flatMap(\.inputIDs) { counts[Int(id)] += 1 }
        let ranks = TokenRanks(counts: counts)
        for sample in samples.prefix(8) { group.add(sample, SampleSource(file: 0, line: 1, id: [65]), ranks: ranks) }
        let lengths = samples.prefix(8).map { Int32($0.inputIDs.count) }
        let index = StoreBlockIndex(firstGroup: 0, firstSample: 0, groups: [.init(size: 99, lengths: lengths)])
        let notes = (0..<9).map {
            SourceNote(kind: .rejected, file: 0, line: $0, offset: $0 * 9, reason: "odd", detail: "#\($0)")
        }
        var exchanged = ByteWriter()
        SourceRecord.encode(records, to: &exchanged)
        return [
            group.finish(number: 0, firstSample: 0), index.encoded(block: 0), SourceNote.encode(notes, block: 0),
            TokenCounts.encode(counts.map(UInt64.init)), ranks.encoded, exchanged.bytes,
        ]
    }

    private static func read(_ kind: Int, _ bytes: [UInt8]) throws(DecodingFailure) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(DecodingFailure) in
                switch names[kind] {
                case "group":
                    let lengths = (0..<8).map { _ in Int32(20) }
                    let group = try SampleGroup(Array(bytes), number: 0, firstSample: 0, lengths: lengths[...])
                    for index in 0..<8 {
                        _ = try group.sample(at: index, ranks: TokenRanks(counts: Array(repeating: 1, count: 1000)))
                    }
                case "index": _ = try StoreBlockIndex(decoding: bytes, block: 0, firstGroup: 0, firstSample: 0)
                case "notes": _ = try SourceNote.decode(bytes, block: 0)
                case "counts": _ = try TokenCounts.decode(bytes, vocabSize: 1000, total: 5000)
                case "ranks": _ = try TokenRanks(decoding: bytes, vocabSize: 1000)
                default:
                    var reader = ByteReader(bytes)
                    _ = try SourceRecord.decode(&reader)
                }
            }
        }
        try result.get()
    }

    @Test(arguments: names.indices) func recordsAreReadOrRefused(kind: Int) throws {
        let content = Self.contents()[kind]
        try Fuzzing("store-\(Self.names[kind])", iterations: 2000).run { generator in
            let damaged = Mutator().mutate(content, using: &generator)
            do throws(DecodingFailure) {
                try Self.read(kind, damaged)
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

/// JSON texts that are damaged are refused, or walked to their end.
struct JSONFuzzTests {
    private static let text =
        #"{"id": "é\u00e9", "n": [1, -2.5e3, 18446744073709551615, true, null], "o": {"k": {"k": []}}, "": ""}"#

    private static func walk(_ value: JSONValue, _ depth: Int = 0) -> Int {
        _ = (value.string, value.int, value.double, value.bool)
        return value.elements.reduce(1) { $0 + walk($1, depth + 1) }
            + value.members.reduce(0) { $0 + $1.key.count + walk($1.value, depth + 1) }
    }

    @Test func textsAreReadOrRefused() throws {
        let parser = JSONParser()
        try Fuzzing("json", iterations: 5000).run { generator in
            let damaged = Mutator().mutate(Array(Self.text.utf8), using: &generator)
            do throws(JSONError) {
                #expect(Self.walk(try parser.parse(damaged)) > 0)
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// Whatever is in a file, it is read as it was or refused with a sentence.
struct StoreFuzzTests {
    private static let names = ["group", "index", "notes", "counts", "ranks", "records", "mapping"]
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
            "mapping": VocabularyMapping(draftToTarget: [0, 3, 4, 999], counts: counts.map(UInt64.init)).encoded,
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
                        #expect(
                            !sample.attended.isEmpty && sample.withoutPadding.inputIDs.count == sample.attended.count)
                        #expect(sample.inputIDs.allSatisfy { (0..<Int32(Self.vocabSize)).contains($0) })
                    }
                case "index": _ = try StoreBlockIndex(decoding: bytes, block: 0, firstGroup: 0, firstSample: 0)
                case "notes": _ = try SourceNote.decode(bytes, block: 0)
                case "counts":
                    _ = try TokenCounts.decode(bytes, vocabSize: Self.vocabSize, total: supervisedTokens)
                case "mapping":
                    let ids = try VocabularyMapping.decode(bytes, vocabSize: Self.vocabSize, draftVocabSize: 4)
                    #expect(ids == ids.sorted() && Set(ids).count == 4 && ids[3] < 1000)
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
        // What it says of a refusal is for the file's reader to complete: here it must neither trap nor hang.
        try Fuzzing("store-\(kind)", iterations: 2000).run { generator in
            let damaged = Mutator().mutate(content, using: &generator)
            do throws(DecodingFailure) { try read(kind, damaged) } catch {}
        }
    }

    /// Manifests and indexes of all contents, in files that are sound otherwise.
    @Test func manifestsAreReadOrRefused() throws {
        let scratch = try ScratchDirectory()
        let (path, damaged) = (scratch.file("store.mdb"), scratch.file("damaged.mdb"))
        let writer = try SampleStoreWriter(path: path, manifest: storeManifest())
        for record in storeRecords(60) { try writer.add(record) }
        _ = try writer.finish([.init(digest: Digest(of: "data"))], draftVocabSizes: [50])
        let numbers = [
            "-1", "0", "9223372036854775807", "-9223372036854775808", "4611686018427387904", "1e300", "null",
        ]
        try Fuzzing("manifest", iterations: 300).run { generator in
            var generator = generator
            let isManifest = Bool.random(using: &generator)
            let isNumber = Bool.random(using: &generator)
            try rewriteStore(path, to: damaged) { key, content in
                if key == "manifest", isManifest {
                    guard isNumber else { return Mutator().mutate(content, using: &generator) }
                    // One number of many is another.
                    let text = String(decoding: content, as: UTF8.self)
                    let found = text.ranges(of: /-?[0-9]+/)
                    guard let range = found.randomElement(using: &generator) else { return nil }
                    let number = numbers.randomElement(using: &generator) ?? ""
                    return Array(text.replacingCharacters(in: range, with: number).utf8)
                }
                guard !isManifest, key.hasPrefix("index/") || key.hasPrefix("mapping/") || key == "counts" else {
                    return nil
                }
                return Mutator().mutate(content, using: &generator)
            }
            do {
                let store = try SampleStore(reading: damaged)
                _ = try StoreStatistics(store).text
                _ = try store.notes()
                try store.verify()
            } catch {
                #expect("\(error)".contains("damaged.mdb") || error is VocabularyError, "\(error)")
            }
        }
    }

    /// What a store says can't be added up, and is refused for that.
    @Test(arguments: [
        (#""vocab_size":1000"#, #""vocab_size":9223372036854775807"#),
        (#""vocab_size":1000"#, #""vocab_size":0"#), (#""name":"<s>","id":1"#, #""name":"<s>","id":-1"#),
        (#""name":"<s>","id":1"#, #""name":"<s>","id":1000"#),
        (#""tokens":"#, #""tokens":-"#), (#""kept":"#, #""kept":922337203685477"#),
        (#""draft_vocab_sizes":[]"#, #""draft_vocab_sizes":[0]"#),
        (#""draft_vocab_sizes":[]"#, #""draft_vocab_sizes":[2,2]"#),
        (#""draft_vocab_sizes":[]"#, #""draft_vocab_sizes":[1001]"#),
    ]) func numbersThatCannotBeAreRefused(old: String, new: String) throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("store.mdb")
        try buildStore(path, storeRecords(20))
        let other = scratch.file("other.mdb")
        try rewriteManifest(path, to: other) { text in
            #expect(text.contains(old))
            return text.replacing(old, with: new, maxReplacements: 1)
        }
        #expect(throws: StoreError.self) { try SampleStore(reading: other) }
    }

    /// A newer program of the same format may add keys and records.
    @Test func whatIsNotKnownIsIgnored() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("store.mdb")
        try buildStore(path, storeRecords(20))
        let other = scratch.file("other.mdb")
        try rewriteManifest(path, to: other) {
            $0.replacing(#""vocab_size""#, with: #""colour":{"a":[1]},"vocab_size""#)
        }
        try LMDBEnvironment(other, .exclusive(syncEachCommit: true)).write([(Array("zebra".utf8), [1])])
        try SampleStore(reading: other).verify()
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

import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// Records as a dataset would give them: samples of many lengths, some rejected, some repaired.
func storeRecords(_ count: Int, seed: UInt64 = 1, vocabSize: Int = 1000) -> [SourceRecord] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { i in
        let source = SampleSource(file: 0, line: i + 1, id: Array("row-\(i)".utf8))
        if i % 13 == 5 {
            return SourceRecord(
                source: source, offset: i * 100,
                outcome: .rejected(reason: i % 2 == 0 ? "odd" : "empty", detail: "#\(i)"))
        }
        // Squared, so that low ids are frequent.
        let ids = (0..<Int.random(in: 1...90, using: &random)).map { _ in
            let share = Double.random(in: 0..<1, using: &random)
            return Int32(share * share * Double(vocabSize))
        }
        var mask = ids.map { _ in false }
        let start = Int.random(in: 0..<ids.count, using: &random)
        for position in start..<ids.count { mask[position] = position % 17 != 0 }
        // Some rows are padded: before, after or on both sides.
        let (before, after) = i % 11 == 4 ? (i % 3 == 0 ? 0 : 2, i % 3 == 1 ? 0 : 3) : (0, 0)
        let sample = Sample(
            inputIDs: Array(repeating: 0, count: before) + ids + Array(repeating: 0, count: after),
            lossMask: Array(repeating: false, count: before) + mask + Array(repeating: false, count: after),
            leadingPadding: before, trailingPadding: after)
        return SourceRecord(
            source: source, offset: i * 100, outcome: .kept([sample]),
            repairs: i % 7 == 0 ? [.init("leading", droppedMessages: 2)] : [])
    }
}

func storeManifest(layout: StoreLayout = smallLayout) -> StoreManifest {
    StoreManifest(
        files: [.init(path: "/data.jsonl", status: FileStatus(size: 10, modifiedNanoseconds: 20, inode: 30))],
        derived: [.init("max length", "90"), .init("template", "qwen 00ff")], vocabSize: 1000,
        specialTokens: [SpecialToken(.bos, "<s>", id: 1), SpecialToken(.endOfTurn, "</s>", id: 999)], layout: layout)
}

/// Groups and blocks small enough that a test has many.
var smallLayout: StoreLayout {
    var layout = StoreLayout()
    layout.groupTokens = 256
    layout.blockBytes = 1024
    layout.rankTokens = 2000
    return layout
}

@discardableResult
func buildStore(_ path: String, _ records: [SourceRecord], manifest: StoreManifest = storeManifest()) throws
    -> StoreManifest
{
    let writer = try SampleStoreWriter(path: path, manifest: manifest)
    for record in records.dropFirst(writer.recordsDone) { try writer.add(record) }
    return try writer.finish([.init(digest: Digest(of: "data"))])
}

private func samples(_ records: [SourceRecord]) -> [Sample] {
    records.flatMap { record -> [Sample] in
        guard case .kept(let samples) = record.outcome else { return [] }
        return samples
    }
}

struct SampleStoreTests {
    let scratch: ScratchDirectory
    let path: String

    init() throws {
        scratch = try ScratchDirectory()
        path = scratch.file("store.mdb")
    }

    @Test func givesBackEverySampleInAnyOrder() throws {
        let records = storeRecords(500)
        try buildStore(path, records)
        let store = try SampleStore(reading: path)
        let expected = samples(records)
        #expect(store.count == expected.count)
        #expect((0..<store.count).map(store.length) == expected.map(\.inputIDs.count))
        var random = SplitMix64(seed: 3)
        for index in (0..<store.count).shuffled(using: &random) {
            #expect(try store.sample(at: index) == expected[index])
        }
        let kept = records.filter { if case .kept = $0.outcome { true } else { false } }
        #expect(try (0..<store.count).map(store.source) == kept.map(\.source))
        try store.verify()
    }

    @Test func hasTheMappingsThatItWasGivenAndDerivesOthersAlike() throws {
        let records = storeRecords(300)
        let writer = try SampleStoreWriter(path: path, manifest: storeManifest())
        for record in records { try writer.add(record) }
        _ = try writer.finish([.init(digest: Digest(of: "data"))], draftVocabSizes: [2, 50, 1000])
        let store = try SampleStore(reading: path)
        #expect(store.manifest.draftVocabSizes == [2, 50, 1000])
        for size in [2, 50, 1000, 51] {
            let mapping = try store.vocabularyMapping(draftVocabSize: size)
            #expect(try mapping == store.derivedMapping(draftVocabSize: size) && mapping.draftVocabSize == size)
        }
        try store.verify()
        #expect(throws: VocabularyError.self) { try store.vocabularyMapping(draftVocabSize: 1) }
    }

    /// Given later, they make the same file as given at once; nothing but them and the manifest is made again.
    @Test func getsMappingsLaterAsIfAtOnce() throws {
        let records = storeRecords(300)
        let other = scratch.file("other.mdb")
        for (path, sizes) in [(path, [20, 50, 300]), (other, [50])] {
            let writer = try SampleStoreWriter(path: path, manifest: storeManifest())
            for record in records { try writer.add(record) }
            _ = try writer.finish([.init(digest: Digest(of: "data"))], draftVocabSizes: sizes)
        }
        let reader = try SampleStore(reading: other)
        try StoreSeal.replaceMappings(of: reader, [20, 50, 300])
        #expect(try readFile(other) == readFile(path))
        #expect(try reader.sample(at: 3) == SampleStore(reading: path).sample(at: 3))
    }

    @Test func verifyingFindsAMappingThatIsNotTheStores() throws {
        let writer = try SampleStoreWriter(path: path, manifest: storeManifest())
        for record in storeRecords(100) { try writer.add(record) }
        _ = try writer.finish([.init(digest: Digest(of: "data"))], draftVocabSizes: [50])
        let wrong = VocabularyMapping(
            draftToTarget: Array(0..<50), counts: try SampleStore(reading: path).tokenCounts())
        let other = scratch.file("other.mdb")
        try rewriteStore(path, to: other) { key, _ in key.hasPrefix("mapping/") ? wrong.encoded : nil }
        #expect { try SampleStore(reading: other).verify() } throws: {
            "\($0)".hasSuffix("its draft vocabulary of 50 isn't the one of its token counts")
        }
    }

    @Test func countsWhatWasReadAndSupervised() throws {
        let records = storeRecords(500)
        let manifest = try buildStore(path, records)
        let store = try SampleStore(reading: path)
        #expect(store.manifest == manifest)
        let counts = manifest.counts
        #expect(counts.read == 500 && counts.isReconciled && counts.rejectedTotal == 500 - samples(records).count)
        #expect(counts.droppedMessages == 2 * (counts.repaired["leading"] ?? 0))
        #expect(counts.tokens == samples(records).map(\.inputIDs.count).reduce(0, +))
        var expected = [UInt64](repeating: 0, count: 1000)
        for sample in samples(records) {
            for (id, mark) in zip(sample.inputIDs, sample.lossMask) where mark { expected[Int(id)] += 1 }
        }
        #expect(try store.tokenCounts() == expected)
        #expect(counts.supervisedTokens == Int(expected.reduce(0, +)))
        let mapping = try store.vocabularyMapping(draftVocabSize: 100)
        #expect(mapping.draftToTarget.contains(999) && mapping.draftToTarget.contains(1))
        let rejected = try store.notes().filter { $0.kind == .rejected }
        #expect(rejected.map(\.line) == (0..<500).filter { $0 % 13 == 5 }.map { $0 + 1 })
        #expect(rejected.first?.detail == "#5" && rejected.first?.offset == 500)
    }

    @Test(arguments: [0, 1, 13])
    func holdsFewRecordsOrNone(count: Int) throws {
        try buildStore(path, storeRecords(count))
        let store = try SampleStore(reading: path)
        #expect(store.count == samples(storeRecords(count)).count)
        try store.verify()
    }

    /// A writer that is dropped leaves on the disk what a killed process would: what was committed.
    @Test(arguments: [0, 30, 100, 333, 499, 500])
    func continuesAnUnfinishedBuildToTheSameBytes(stop: Int) throws {
        let records = storeRecords(500)
        try buildStore(path, records)
        let other = scratch.file("other.mdb")
        do {
            let writer = try SampleStoreWriter(path: other, manifest: storeManifest())
            for record in records.prefix(stop) { try writer.add(record) }
            try writer.commit()
            #expect(!fileExists(other))
        }
        let writer = try SampleStoreWriter(path: other, manifest: storeManifest())
        #expect(writer.recordsDone <= stop && (stop < 333 || writer.recordsDone > 200))
        for record in records.dropFirst(writer.recordsDone) { try writer.add(record) }
        _ = try writer.finish([.init(digest: Digest(of: "data"))])
        #expect(try readFile(other) == readFile(path))
        #expect(!fileExists(other + ".partial"))
    }

    /// Records with all that a store remembers: repairs, several samples of one record, cut ones.
    private func richRecords(_ count: Int) -> [SourceRecord] {
        storeRecords(count).enumerated().map { i, record in
            var record = record
            guard case .kept(let samples) = record.outcome else { return record }
            if i % 17 == 3 { record.outcome = .kept(samples + samples) }
            (record.truncated, record.leftOut) = (i % 5 == 0 ? 1 : 0, i % 17 == 3 ? 1 : 0)
            return record
        }
    }

    /// Before tokens are ranked and after, with few and many blocks: what is copied over gives a full build's bytes.
    @Test(arguments: [1, 20, 60, 200, 333, 599, 600])
    func takesOverAStoreWhoseDatasetHasGrown(first: Int) throws {
        let records = richRecords(600)
        try buildStore(path, records)
        let (part, grown) = (scratch.file("part.mdb"), scratch.file("grown.mdb"))
        try buildStore(part, Array(records[..<first]))
        let writer = try SampleStoreWriter(path: grown, manifest: storeManifest())
        try writer.takeOver(SampleStore(reading: part))
        #expect(writer.recordsDone == first)
        for record in records[first...] { try writer.add(record) }
        try #expect(writer.finish([.init(digest: Digest(of: "data"))]).counts.read == 600)
        #expect(try readFile(grown) == readFile(path))
        try SampleStore(reading: grown).verify()
    }

    /// A commit after taking over may end the process too.
    @Test(arguments: [334, 450, 600])
    func continuesAfterTakingOver(stop: Int) throws {
        let records = richRecords(600)
        try buildStore(path, records)
        let (part, grown) = (scratch.file("part.mdb"), scratch.file("grown.mdb"))
        try buildStore(part, Array(records[..<333]))
        do {
            let writer = try SampleStoreWriter(path: grown, manifest: storeManifest())
            try writer.takeOver(SampleStore(reading: part))
            for record in records[333..<stop] { try writer.add(record) }
            try writer.commit()
        }
        let writer = try SampleStoreWriter(path: grown, manifest: storeManifest())
        if writer.recordsDone == 0 { try writer.takeOver(SampleStore(reading: part)) }
        #expect(writer.recordsDone >= 333)
        for record in records.dropFirst(writer.recordsDone) { try writer.add(record) }
        _ = try writer.finish([.init(digest: Digest(of: "data"))])
        #expect(try readFile(grown) == readFile(path))
    }

    @Test func beginsAnewForAnotherManifest() throws {
        do {
            let writer = try SampleStoreWriter(path: path, manifest: storeManifest())
            for record in storeRecords(300) { try writer.add(record) }
            try writer.commit()
            #expect(try SampleStoreWriter(path: path, manifest: storeManifest()).recordsDone > 0)
        }
        var manifest = storeManifest()
        manifest.derived[0].value = "91"
        #expect(try SampleStoreWriter(path: path, manifest: manifest).recordsDone == 0)
    }

    @Test func leavesTheOldStoreToItsReaders() throws {
        let old = storeRecords(200)
        try buildStore(path, old)
        let reader = try SampleStore(reading: path)
        try buildStore(path, storeRecords(300, seed: 9))
        for (index, sample) in samples(old).enumerated() { #expect(try reader.sample(at: index) == sample) }
        #expect(try SampleStore(reading: path).manifest.counts.read == 300)
    }

    @Test func namesTheGroupAndSamplesOfADamagedFrame() throws {
        let records = storeRecords(300)
        try buildStore(path, records)
        let original = try readFile(path)
        let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
        let frames = original.indices.dropLast(100).filter { Array(original[$0..<$0 + 4]) == magic }
        let pattern = /.*store.mdb: record 'block\/\d+': group \d+, samples \d+ to \d+, is damaged: .*/
        var named = 0
        for frame in frames {
            var bytes = original
            bytes[frame + 40] ^= 1
            try Data(bytes).write(to: URL(filePath: path))
            do {
                try SampleStore(reading: path).verify()
            } catch {
                named += "\(error)".wholeMatch(of: pattern) == nil ? 0 : 1
            }
        }
        #expect(try SampleStoreTests.groupCount(of: records) == named)
    }

    private static func groupCount(of records: [SourceRecord]) throws -> Int {
        let scratch = try ScratchDirectory()
        try buildStore(scratch.file("whole.mdb"), records)
        let store = try SampleStore(reading: scratch.file("whole.mdb"))
        return store.groupCount
    }

    /// Anything may be in a file: it is read as it was or refused, and never ends the process.
    @Test func survivesRandomDamage() throws {
        let records = storeRecords(150)
        try buildStore(path, records)
        let original = try readFile(path)
        let expected = samples(records)
        var random = SplitMix64(seed: 11)
        let damaged = scratch.file("damaged.mdb")
        var refused = 0
        for round in 0..<600 {
            var bytes = original
            if round % 10 == 0 { bytes.removeLast(Int.random(in: 1...bytes.count, using: &random)) }
            for _ in 0..<(1 + round % 3) where !bytes.isEmpty {
                // Half of the damage goes to the pages that lead to the others.
                let limit = round % 2 == 0 ? min(bytes.count, 3 * 4096) : bytes.count
                bytes[Int.random(in: 0..<limit, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            try Data(bytes).write(to: URL(filePath: damaged))
            do {
                let store = try SampleStore(reading: damaged)
                try store.verify()
                let read = try (0..<store.count).map(store.sample)
                #expect(read == expected)
            } catch {
                refused += 1
                #expect("\(error)".contains("damaged.mdb"), "\(error)")
            }
        }
        #expect(refused > 100)
    }

    @Test func refusesWhatIsNoStore() throws {
        let text = try scratch.write("text.mdb", String(repeating: "not a store ", count: 1000))
        #expect { try SampleStore(reading: text) } throws: { "\($0)".hasSuffix("text.mdb: isn't an LMDB file") }
        #expect(throws: FileError.self) { try SampleStore(reading: scratch.file("none.mdb")) }
    }

    @Test func tellsHowToBuildAMissingOrStaleStore() throws {
        let data = try scratch.write("data.jsonl", "{}\n")
        let store = StoreLocation.path(cacheDir: scratch.path, dataPaths: [data])
        #expect(store.hasSuffix("/\(Digest(of: absolutePath(data)).hex).mdb"))
        func open() throws -> SampleStore {
            try .open(cacheDir: scratch.path, dataPaths: [data], buildCommand: { _ in "Preprocess build X" })
        }
        #expect { try open() } throws: { "\($0)".contains("isn't there; build it with\n  Preprocess build X") }
        var manifest = storeManifest()
        manifest.files = try StoreLocation.files([data])
        let writer = try SampleStoreWriter(path: store, manifest: manifest)
        _ = try writer.finish([.init(digest: Digest(ofFile: data))])
        _ = try open()
        // The same content written again is the same dataset.
        _ = try scratch.write("data.jsonl", "{}\n")
        _ = try open()
        _ = try scratch.write("data.jsonl", "[]\n")
        #expect { try open() } throws: { "\($0)".contains("out of date (content of ") }
        _ = try scratch.write("data.jsonl", "{}\n{}\n")
        #expect { try open() } throws: { "\($0)".contains("3 -> 6 bytes") }
    }

    @Test func saysWhatChanged() {
        let old = storeManifest()
        var new = old
        new.derived = [.init("max length", "91"), .init("template", "qwen 00ff")]
        new.layout.compressionLevel = 9
        #expect(old.changes(to: new) == ["max length: 90 -> 91", "compression level: 3 -> 9"])
        #expect(old.changes(to: old).isEmpty)
    }
}

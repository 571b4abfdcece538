@preconcurrency import Glibc
import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// What is Eyrie's in a cache directory, and what pruning leaves alone.
struct CacheDirectoryTests {
    private let scratch: ScratchDirectory
    private let cache: CacheDirectory
    private let data: String
    private let key: String

    init() throws {
        scratch = try ScratchDirectory()
        cache = try CacheDirectory(making: scratch.file("cache/deep"))
        data = try scratch.write("data.jsonl", conversationLines(30).joined(separator: "\n") + "\n")
        key = StoreLocation.key([data])
    }

    /// A store as a build leaves it, with its lock.
    private func build() throws {
        let lock = try BuildLock(cache.path(.store, key)) {}
        try buildByteStore(cache.path(.store, key), [data])
        withExtendedLifetime(lock) {}
    }

    private func state(_ kind: CacheDirectory.Kind = .store) throws -> CacheDirectory.Entry.State? {
        try cache.entry(kind, key, hasLock: cache.hasLock(key))?.state
    }

    /// The paths of what was removed.
    private func prune(_ rules: CacheDirectory.PruneRules = .init()) throws -> [String] {
        var removed: [String] = []
        try cache.prune(rules) { if case .removed(let entry) = $0 { removed.append(entry.path) } }
        return removed
    }

    private func rewriteFormat(_ format: Int) throws {
        let path = cache.path(.store, key)
        try rewriteManifest(path, to: path + ".other") {
            $0.replacing("\"format\":\(StoreManifest.formatVersion)", with: "\"format\":\(format)")
        }
        try #require(rename(path + ".other", path) == 0)
    }

    @Test func namesOfStoresAreKeysAndNothingElse() {
        let key = String(repeating: "0123456789abcdef", count: 2)
        for kind in CacheDirectory.Kind.allCases {
            let parsed = CacheDirectory.parse(key + kind.rawValue)
            #expect(parsed?.key == key && parsed?.kind == kind)
        }
        for name in [
            "embeddings.mdb", "0123.mdb", key.uppercased() + ".mdb", key + "0.mdb", key + ".mdb.bak", key, ".mdb",
            "x" + key + ".mdb", key + ".mdb ", key + ".features", String(key.dropLast()) + "é.mdb", key + ".mdb.lock2",
        ] { #expect(CacheDirectory.parse(name) == nil, "\(name)") }
    }

    /// Whatever lies in the directory that Eyrie hasn't made, with names like its own or not.
    @Test func pruningLeavesWhatIsForeign() throws {
        try build()
        let other = String(repeating: "ab", count: 16)
        let names = [
            "embeddings.mdb", "0123.mdb", other + ".mdb", other + ".mdb.partial", other + ".mdb.sealed",
            other + ".files", "notes.files", "model.features", other + ".mdb.ranks-1.txt", "a.mdb.partial",
        ]
        for name in names { try Data("anybody's".utf8).write(to: URL(filePath: "\(cache.path)/\(name)")) }
        let database = String(repeating: "cd", count: 16)
        do {
            let environment = try LMDBEnvironment("\(cache.path)/\(database).mdb", .exclusive(syncEachCommit: false))
            try environment.write([(Array("key".utf8), Array("value".utf8))])
        }
        let link = String(repeating: "ef", count: 16)
        try #require(symlink(cache.path(.store, key), "\(cache.path)/\(link).mdb") == 0)
        let before = try listDirectory(cache.path)
        #expect(try prune(.init(removesMissing: true)) == [])
        #expect(try listDirectory(cache.path) == before)
        let states = try cache.entries().map(\.state.name)
        #expect(states.sorted() == ["complete", "foreign", "foreign", "foreign", "foreign"])
    }

    @Test func pruningLeavesWhatANewerVersionMadeAndAllBesideIt() throws {
        try build()
        try rewriteFormat(StoreManifest.formatVersion + 1)
        #expect(try state() == .newerFormat(StoreManifest.formatVersion + 1))
        _ = try cache.directory.create(cache.name(.partial, key))
        let before = try listDirectory(cache.path)
        #expect(try prune() == [] && listDirectory(cache.path) == before)
        #expect { try SampleStore(reading: cache.path(.store, key)) } throws: {
            "\($0)".hasSuffix("is a store of format 4, this program reads 3; a newer version of Eyrie reads it")
        }
    }

    @Test func pruningRemovesWhatAnOlderVersionMade() throws {
        try build()
        try rewriteFormat(2)
        #expect(try state() == .olderFormat(2))
        #expect(try prune() == [cache.path(.store, key)] && listDirectory(cache.path) == [])
    }

    @Test func pruningRemovesWhatIsDamagedOrOutOfDateOrUnfinished() throws {
        try build()
        try Data("x".utf8).write(to: URL(filePath: cache.path(.store, key)))
        _ = try cache.directory.create(cache.name(.partial, key))
        #expect(try state() == .unreadable("isn't an LMDB file") && state(.partial) == .unfinished)
        #expect(try prune().count == 2 && listDirectory(cache.path) == [])
        try build()
        _ = try scratch.write("data.jsonl", "{}\n")
        #expect(try state() == .outOfDate && prune() == [cache.path(.store, key)] && listDirectory(cache.path) == [])
    }

    /// What `list` printed a while ago isn't what counts.
    @Test func aStoreThatWasBuiltAgainMeanwhileStays() throws {
        try build()
        _ = try scratch.write("data.jsonl", conversationLines(31).joined(separator: "\n") + "\n")
        #expect(try cache.entries().map(\.state) == [.outOfDate])
        try build()
        var removed = 0
        try cache.prune(key, .init()) { _ in removed += 1 }
        #expect(try removed == 0 && state() == .complete)
    }

    @Test func whatAnotherProcessBuildsIsLeftToIt() throws {
        try build()
        _ = try scratch.write("data.jsonl", "{}\n")
        let lock = try BuildLock(cache.path(.store, key)) {}
        for isDryRun in [false, true] {
            var events: [String] = []
            try cache.prune(.init(isDryRun: isDryRun)) { events.append("\($0)") }
            #expect(events == ["busy(path: \"\(cache.path(.store, key))\")"])
        }
        withExtendedLifetime(lock) {}
    }

    @Test(arguments: [true, false]) func aDryRunChangesNothing(hasLock: Bool) throws {
        try build()
        if !hasLock { try cache.directory.remove(cache.name(.lock, key)) }
        _ = try scratch.write("data.jsonl", "{}\n")
        let before = try listDirectory(cache.path)
        #expect(try prune(.init(isDryRun: true)) == [cache.path(.store, key)])
        #expect(try listDirectory(cache.path) == before)
    }

    @Test func removesWhatEndedBuildsHaveLeft() throws {
        try build()
        for kind in [CacheDirectory.Kind.sealed, .filesPartial] {
            _ = try cache.directory.create(cache.name(kind, key))
        }
        try makeDirectory("\(cache.path)/\(key).mdb.ranks-1/deep")
        #expect(try prune() == [])
        #expect(try listDirectory(cache.path) == [cache.name(.store, key), cache.name(.lock, key)])
    }

    /// Links of every name that a build or `prune` writes or removes, to files and directories of somebody's.
    @Test func plantedLinksDoNoHarm() throws {
        let home = scratch.file("home")
        try makeDirectory(home)
        let kinds = CacheDirectory.Kind.allCases.filter { $0 != .lock }
        for target in ["diary", "none"] {
            for kind in kinds {
                try Data("dear diary".utf8).write(to: URL(filePath: "\(home)/diary"))
                unlink(cache.path(kind, key))
                try #require(symlink("\(home)/\(target)", cache.path(kind, key)) == 0)
            }
            try #require(symlink(home, "\(cache.path)/\(key).mdb.ranks-1") == 0)
            try cache.removeLeftovers(key)
            let writer = try SampleStoreWriter(path: cache.path(.store, key), manifest: byteManifest([data]))
            _ = try bytePipeline([data]).run(into: writer, draftVocabSizes: [100])
            try StoreSeal.replaceMappings(of: SampleStore(reading: cache.path(.store, key)), [50])
            let copy = try scratch.write("copy.jsonl", String(contentsOfFile: data, encoding: .utf8))
            let other = StoreLocation.key([copy])
            for kind in kinds { symlink("\(home)/\(target)", cache.path(kind, other)) }
            let twin = try #require(try StoreLocation.twin(of: byteManifest([copy]), in: cache, except: ""))
            #expect(try StoreLink.make(other, in: cache, to: twin.store, files: twin.files))
            try cache.prune(.init()) { _ in }
            #expect(try listDirectory(home) == ["diary"] && readFile("\(home)/diary") == Array("dear diary".utf8))
            #expect(
                try SampleStore(reading: cache.path(.store, other)).manifest.files.map(\.path) == [absolutePath(copy)])
        }
    }

    @Test func aPlantedLockIsRefused() throws {
        let diary = try scratch.write("diary", "dear diary")
        try #require(symlink(diary, cache.path(.lock, key)) == 0)
        #expect { try BuildLock(cache.path(.store, key)) {} } throws: { "\($0)".contains("symbolic link") }
        try #require(unlink(cache.path(.lock, key)) == 0 && mkfifo(cache.path(.lock, key), 0o600) == 0)
        #expect(throws: FileError.self) { try BuildLock(cache.path(.store, key)) {} }
    }

    /// As after `cp -a`, a restore, or on another host: read once, and then known.
    @Test func aDatasetThatWasMovedIsReadOnce() throws {
        try build()
        let path = cache.path(.store, key)
        func open() throws -> SampleStore { try .open(cacheDir: cache.path, dataPaths: [data]) { _ in "" } }
        func moved() throws -> Bool {
            try StoreLocation.check(SampleStore(reading: path).manifest, dataPaths: [data]).moved != nil
        }
        #expect(try !moved())
        var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
        try #require(utimensat(AT_FDCWD, data, &times, 0) == 0)
        #expect(try moved())
        _ = try open()
        #expect(
            try !moved()
                && open().manifest.files
                    == StoreLocation.files([data]).map { file in
                        var file = file
                        (file.digest, file.isAppendable) = (try Digest(ofFile: data).hex, true)
                        return file
                    }
        )
        // Other contents of that size and time are seen once the time changes again.
        _ = try scratch.write("data.jsonl", conversationLines(30).joined(separator: "\n") + " ")
        #expect(throws: StoreError.self) { try open() }
    }

    /// Of the data that came through pipes, those stay that a store is of, or may soon be of.
    @Test func dataOfNoStoreArePrunedWhenTheyAreOld() throws {
        func input(_ digit: String, daysOld: Int) throws -> String {
            let path = cache.directory.path(of: String(repeating: digit, count: 32) + ".input")
            try Data(conversationLines(5).joined(separator: "\n").utf8).write(to: URL(filePath: path))
            let date = Date(timeIntervalSinceNow: -86400 * Double(daysOld) - 60)
            try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
            return path
        }
        let (used, old, new) = (
            try input("a", daysOld: 9), try input("b", daysOld: 1), try input("c", daysOld: 0)
        )
        let unfinished = cache.directory.path(of: "4711.input.partial")
        try #require(rename(try input("d", daysOld: 1), unfinished) == 0)
        let foreign = cache.directory.path(of: "notes.input")
        try #require(rename(try input("e", daysOld: 1), foreign) == 0)
        let store = cache.path(.store, StoreLocation.key([used]))
        try buildByteStore(store, [used])
        let lock = try BuildLock(cache.path(.store, key)) {}
        func removed(isDryRun: Bool = false) throws -> [String] {
            var paths: [String] = []
            try cache.prune(.init(isDryRun: isDryRun)) {
                if case .removedInput(let path, _) = $0 { paths.append(path) }
            }
            return paths
        }
        // Whoever has a lock may be about to write a store of any of them.
        #expect(try removed().isEmpty)
        try lock.removeFile()
        #expect(try removed(isDryRun: true) == [unfinished, old] && fileExists(old))
        #expect(try removed() == [unfinished, old] && !fileExists(old) && !fileExists(unfinished))
        #expect([used, new, foreign, store].allSatisfy(fileExists))
    }
}

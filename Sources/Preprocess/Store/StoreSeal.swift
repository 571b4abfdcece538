@preconcurrency import Glibc
import Shared

/// Writes a whole store and gives it its name.
enum StoreSeal {
    /// Bytes that are copied between two commits.
    private static let copyBytes = 16 << 20

    typealias Record = (key: [UInt8], value: [UInt8])

    /// Copies the records of an unfinished store in the order of their keys into a file that holds nothing else, and
    /// renames it to `path`.
    ///
    /// In the partial file, where records are depends on when they were committed. In the copy it depends only on the
    /// records, so that two builds of the same dataset give the same bytes.
    /// - Parameter records: Those of the finished store that are new: its manifest and its draft vocabularies.
    static func seal(_ partial: LMDBEnvironment, at path: String, adding records: [Record]) throws {
        try copy(LMDBReadTransaction(partial), to: path, adding: records)
        guard unlink(partial.path) == 0 else { throw FileError(partial.path, "remove it") }
    }

    /// Gives a finished store other draft vocabularies: a copy replaces it, or nothing has changed.
    ///
    /// - Parameter sizes: Of all draft vocabularies that it should have.
    static func replaceMappings(of store: SampleStore, _ sizes: [Int]) throws {
        var manifest = store.storedManifest
        manifest.draftVocabSizes = sizes
        let mappings = try sizes.map { try store.derivedMapping(draftVocabSize: $0) }
        let source = try LMDBReadTransaction(LMDBEnvironment(store.path, .immutable))
        try copy(source, to: store.path, adding: records(manifest, mappings))
    }

    /// A finished store's manifest, and the draft vocabularies that it names.
    static func records(_ manifest: StoreManifest, _ mappings: [VocabularyMapping]) -> [Record] {
        let compressor = Compressor(level: manifest.layout.compressionLevel)
        return [(StoreKey.manifest, compressor.compress(Array(manifest.json.compact.utf8)))]
            + mappings.map { (StoreKey.mapping($0.draftVocabSize), compressor.compress($0.encoded)) }
    }

    /// Copies all records but those that are replaced, those that only an unfinished store has, and draft vocabularies.
    private static func copy(_ source: LMDBReadTransaction, to path: String, adding records: [Record]) throws {
        let directory = try Directory(directory(of: path))
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let sealed = name + ".sealed"
        var added = records.sorted { $0.key.lexicographicallyPrecedes($1.key) }[...]
        let replaced = Set(added.map(\.key) + [StoreKey.progress])
        var batch: [Record] = []
        var batchBytes = 0
        do {
            let target = try LMDBEnvironment(
                directory.path(of: sealed), .exclusive(syncEachCommit: false), opened: directory.create(sealed))
            try target.setMapSize(mapSize(of: source, adding: records))
            try source.forEach { key, value in
                let key = Array(key)
                while let next = added.first, next.key.lexicographicallyPrecedes(key) {
                    batch.append(added.removeFirst())
                }
                guard !replaced.contains(key), !StoreKey.isMapping(key) else { return }
                batch.append((key, Array(value)))
                batchBytes += value.count
                source.release(value)
                guard batchBytes >= copyBytes else { return }
                try target.write(batch, isLast: true)
                (batch, batchBytes) = ([], 0)
            }
            try target.write(batch + added, isLast: true)
            try target.sync()
        }
        try directory.rename(sealed, to: name)
        try directory.sync()
    }

    /// Room for all records, each on pages of its own, to the next 16 MiB.
    private static func mapSize(of source: LMDBReadTransaction, adding records: [Record]) throws -> Int {
        let page = Int(getpagesize())
        var bytes = 1 << 20
        try source.forEach { _, value in bytes += (value.count / page + 2) * page }
        for record in records { bytes += (record.value.count / page + 2) * page }
        return (bytes >> 24 + 1) << 24
    }
}

extension LMDBEnvironment {
    /// Writes records in one transaction; the map grows as it must.
    func write(_ records: [StoreSeal.Record], isLast: Bool = false) throws(LMDBError) {
        while true {
            do {
                let transaction = try LMDBWriteTransaction(self)
                for (key, value) in records { try transaction.put(value, at: key, isLast: isLast) }
                return try transaction.commit()
            } catch  where error.isMapFull {
                try setMapSize(mapSize * 2)
            }
        }
    }
}

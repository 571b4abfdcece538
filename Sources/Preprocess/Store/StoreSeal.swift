@preconcurrency import Glibc
import Shared

/// Puts a store that was built in its place.
enum StoreSeal {
    /// Copies the records in the order of their keys into a file that holds nothing else, and renames it to `path`.
    ///
    /// In the partial file, where records are depends on when they were committed. In the copy it depends only on the
    /// records, so that two builds of the same dataset give the same bytes.
    static func seal(_ partial: LMDBEnvironment, at path: String, manifest: [UInt8]) throws {
        let sealed = path + ".sealed"
        guard unlink(sealed) == 0 || errno == ENOENT else { throw FileError(sealed, "remove it") }
        let source = try LMDBReadTransaction(partial)
        var batch: [(key: [UInt8], value: [UInt8])] = []
        var batchBytes = 0
        do {
            let target = try LMDBEnvironment(sealed, .exclusive(syncEachCommit: false))
            try target.setMapSize(mapSize(of: source))
            try source.forEach { key, value in
                let key = Array(key)
                guard key != StoreKey.progress else { return }
                batch.append((key, key == StoreKey.manifest ? manifest : Array(value)))
                batchBytes += value.count
                source.release(value)
                guard batchBytes >= 16 << 20 else { return }
                try target.write(batch, isLast: true)
                (batch, batchBytes) = ([], 0)
            }
            try target.write(batch, isLast: true)
            try target.sync()
        }
        guard rename(sealed, path) == 0 else { throw FileError(path, "rename \(sealed) to it") }
        try syncDirectory(directory(of: path))
        guard unlink(partial.path) == 0 else { throw FileError(partial.path, "remove it") }
    }

    /// Room for all records, each on pages of its own, to the next 16 MiB.
    private static func mapSize(of source: LMDBReadTransaction) throws -> Int {
        var bytes = 1 << 20
        try source.forEach { _, value in bytes += (value.count / 4096 + 2) * 4096 }
        return (bytes >> 24 + 1) << 24
    }
}

extension LMDBEnvironment {
    /// Writes records in one transaction; the map grows as it must.
    func write(_ records: [(key: [UInt8], value: [UInt8])], isLast: Bool = false) throws(LMDBError) {
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

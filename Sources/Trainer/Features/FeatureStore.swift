import Shared

/// Features by digest, which several processes of one host read and write at once: what a run of a model needn't
/// compute again.
///
/// One LMDB file with LMDB's locks: readers never wait, one writer commits at a time, and a process that is killed leaves what
/// was committed. Documentation/StoreFormat.md says what is in it.
final class FeatureStore: Sendable {
    let path: String
    let environment: LMDBEnvironment

    /// Opens the file, or makes it.
    ///
    /// - Parameter limit: The largest that it gets, in bytes; it is rounded down to whole pages.
    /// - Throws: `StoreError` if it is damaged where LMDB would follow it out of the file; `LMDBError` if it can't be
    ///   opened to be written.
    init(_ path: String, limit: Int) throws {
        self.path = path
        environment = try LMDBEnvironment(path, .shared(mapSize: limit & ~0xFFFF))
        do {
            // Nobody writes while the transaction is there.
            let transaction = try LMDBWriteTransaction(environment)
            try LMDBFileCheck(path).run()
            transaction.abort()
        } catch let error as StoreError {
            throw StoreError(path, "\(error.message); remove it, and what was in it is computed again")
        }
    }

    /// Reads a record into `parts`, which have its shape.
    ///
    /// - Parameter forEach: Runs a closure for 0..<count, in any order and on any threads.
    /// - Returns: Whether there is one.
    /// - Throws: `StoreError` if it is damaged or of another shape or type; `LMDBError` if LMDB can't find it.
    func read(
        _ key: Digest, _ type: FeatureRecord.NumberType, into parts: [FeatureRecord.Part],
        forEach: (_ count: Int, _ body: (Int) -> Void) -> Void = { (0..<$0).forEach($1) }
    ) throws -> Bool {
        let transaction = try LMDBReadTransaction(environment)
        guard let record = try transaction.value(of: key.bytes) else { return false }
        transaction.readAhead(record)
        defer { transaction.release(record) }
        do {
            try FeatureRecord.decode(record, type, into: parts, forEach: forEach)
        } catch {
            throw StoreError(path, "record \(key.hex) is damaged: \(error.message)")
        }
        return true
    }

    /// Writes records, all or none of them.
    ///
    /// - Throws: `LMDBError`, whose `isMapFull` says that the file has reached its limit.
    func write(_ records: [(key: Digest, value: [UInt8])]) throws(LMDBError) {
        let transaction = try LMDBWriteTransaction(environment)
        for record in records { try transaction.put(record.value, at: record.key.bytes) }
        try transaction.commit()
    }
}

import CLMDB
@preconcurrency import Glibc

/// What LMDB refused, in which file.
public struct LMDBError: Error, Equatable, CustomStringConvertible {
    /// LMDB's code, or the operating system's.
    public let code: Int32
    /// The function of LMDB that failed.
    public let operation: String
    public let path: String

    /// Whether the file has reached the size of its map, which must grow before the transaction can be tried again.
    public var isMapFull: Bool { code == MDB_MAP_FULL }

    public var description: String {
        switch code {
        case ENOSPC, EDQUOT: "\(path): the disk is full; what was committed is kept"
        case MDB_INVALID: "\(path): is not an LMDB file"
        case MDB_VERSION_MISMATCH: "\(path): was written by another version of LMDB"
        default: "\(path): \(operation): \(String(cString: mdb_strerror(code)))"
        }
    }
}

/// An LMDB environment of one file and one database, its keys in the order of their bytes.
///
/// LMDB's own lock file isn't used where it needn't be: a finished store never changes, and one being built belongs to
/// the process that holds its `BuildLock`.
package final class LMDBEnvironment: @unchecked Sendable {
    package enum Mode {
        /// A file that nobody changes any more: mapped to be read, by any number of processes.
        case immutable
        /// The only process that has the file, which is made if it isn't there.
        ///
        /// A commit returns when it is on the disk, unless it may wait until `sync`.
        case exclusive(syncEachCommit: Bool)
        /// One of several processes of this host that read and write the file, which is made if it isn't there and gets
        /// no larger than `mapSize` bytes; by one environment each. A commit survives the process; the last ones may be
        /// lost with the machine, and nothing else.
        case shared(mapSize: Int)
    }

    package let path: String
    fileprivate let handle: OpaquePointer
    /// The main database's handle, which is the same in every environment.
    fileprivate let database: MDB_dbi

    /// - Parameter opened: The file of that path, where it mustn't be opened by its name again.
    package init(_ path: String, _ mode: Mode, opened: OpenFile? = nil) throws(LMDBError) {
        self.path = path
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle), "mdb_env_create", path)
        guard let handle else { throw LMDBError(code: ENOMEM, operation: "mdb_env_create", path: path) }
        var flags = UInt32(MDB_NOSUBDIR)
        switch mode {
        // Samples are read in random order: reading ahead would only fill memory.
        case .immutable: flags |= UInt32(MDB_NOLOCK | MDB_RDONLY | MDB_NORDAHEAD)
        case .exclusive(let syncEachCommit): flags |= UInt32(MDB_NOLOCK) | (syncEachCommit ? 0 : UInt32(MDB_NOSYNC))
        case .shared: flags |= UInt32(MDB_NORDAHEAD | MDB_NOMETASYNC)
        }
        do {
            if case .shared(let mapSize) = mode {
                try check(mdb_env_set_mapsize(handle, mapSize), "mdb_env_set_mapsize", path)
                try check(mdb_env_set_maxreaders(handle, 1024), "mdb_env_set_maxreaders", path)
            }
            try check(mdb_env_open(handle, opened?.pinnedPath ?? path, flags, 0o644), "mdb_env_open", path)
            if case .shared = mode {
                // Pages that a process which was killed while it read has kept from being used again.
                try check(mdb_reader_check(handle, nil), "mdb_reader_check", path)
            }
            database = try Self.openDatabase(handle, path)
        } catch {
            mdb_env_close(handle)
            throw error
        }
        self.handle = handle
    }

    deinit { mdb_env_close(handle) }

    private static func openDatabase(_ handle: OpaquePointer, _ path: String) throws(LMDBError) -> MDB_dbi {
        var transaction: OpaquePointer?
        var database: MDB_dbi = 0
        try check(mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin", path)
        defer { mdb_txn_abort(transaction) }
        try check(mdb_dbi_open(transaction, nil, 0, &database), "mdb_dbi_open", path)
        return database
    }

    package var mapSize: Int {
        var info = MDB_envinfo()
        return mdb_env_info(handle, &info) == 0 ? info.me_mapsize : 0
    }

    /// Lets the file grow up to a size in bytes; no transaction may be open.
    package func setMapSize(_ size: Int) throws(LMDBError) {
        try check(mdb_env_set_mapsize(handle, size), "mdb_env_set_mapsize", path)
    }

    /// Begins a transaction.
    ///
    /// Where another process has let the file grow beyond this one's map, the map grows with it.
    fileprivate func begin(flags: UInt32) throws(LMDBError) -> OpaquePointer? {
        var transaction: OpaquePointer?
        var code = mdb_txn_begin(handle, nil, flags, &transaction)
        if code == MDB_MAP_RESIZED {
            try setMapSize(0)
            code = mdb_txn_begin(handle, nil, flags, &transaction)
        }
        try check(code, "mdb_txn_begin", path)
        return transaction
    }

    /// Waits until all that was committed is on the disk.
    package func sync() throws(LMDBError) { try check(mdb_env_sync(handle, 1), "mdb_env_sync", path) }
}

/// A view of an environment as it was when the transaction began.
///
/// What it hands out lies in the mapped file and is valid as long as the transaction.
package final class LMDBReadTransaction {
    private let environment: LMDBEnvironment
    private let handle: OpaquePointer?

    package init(_ environment: LMDBEnvironment) throws(LMDBError) {
        self.environment = environment
        handle = try environment.begin(flags: UInt32(MDB_RDONLY))
    }

    deinit { mdb_txn_abort(handle) }

    package func value(of key: [UInt8]) throws(LMDBError) -> UnsafeRawBufferPointer? {
        var value = MDB_val()
        let code = withValue(key) { mdb_get(handle, environment.database, &$0, &value) }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "mdb_get", environment.path)
        return UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
    }

    /// Takes a large value's pages out of this process's memory; who reads them again gets them from the file.
    package func release(_ value: UnsafeRawBufferPointer) { advise(value, MADV_DONTNEED) }

    /// Has a large value's pages fetched all at once, instead of one after the other as they are looked at.
    package func readAhead(_ value: UnsafeRawBufferPointer) { advise(value, MADV_WILLNEED) }

    /// Advises the kernel of how the pages of a value are used: what can't be followed costs memory or time, nothing else.
    private func advise(_ value: UnsafeRawBufferPointer, _ advice: Int32) {
        let page = UInt(getpagesize())
        let start = (UInt(bitPattern: value.baseAddress) + page - 1) & ~(page - 1)
        let end = (UInt(bitPattern: value.baseAddress) + UInt(value.count)) & ~(page - 1)
        guard end > start, let pages = UnsafeMutableRawPointer(bitPattern: start) else { return }
        madvise(pages, Int(end - start), advice)
    }

    /// Every key and value, in the order of the keys.
    package func forEach(_ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void) throws
    {
        var cursor: OpaquePointer?
        try check(mdb_cursor_open(handle, environment.database, &cursor), "mdb_cursor_open", environment.path)
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        while true {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            if code == MDB_NOTFOUND { return }
            try check(code, "mdb_cursor_get", environment.path)
            try body(
                UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size),
                UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
        }
    }
}

/// Changes that come true together, or not at all: what isn't committed is undone.
package struct LMDBWriteTransaction: ~Copyable {
    private let environment: LMDBEnvironment
    private var handle: OpaquePointer?

    package init(_ environment: LMDBEnvironment) throws(LMDBError) {
        self.environment = environment
        handle = try environment.begin(flags: 0)
    }

    deinit { mdb_txn_abort(handle) }

    /// Writes a value, after all others if `isLast`, which packs the pages full.
    package func put(_ bytes: [UInt8], at key: [UInt8], isLast: Bool = false) throws(LMDBError) {
        let flags = isLast ? UInt32(MDB_APPEND) : 0
        let code = withValue(key) { key in
            withValue(bytes) { value in mdb_put(handle, environment.database, &key, &value, flags) }
        }
        try check(code, "mdb_put", environment.path)
    }

    /// Undoes the changes.
    package consuming func abort() {}

    package consuming func commit() throws(LMDBError) {
        // LMDB ends the transaction whether or not it could commit it, so that there is nothing left to abort.
        let ended = handle
        handle = nil
        var code = mdb_txn_commit(ended)
        // What LMDB says when a write ended early, as the last one before a disk is full does.
        if code == EIO, isDiskFull(environment.path) { code = ENOSPC }
        try check(code, "mdb_txn_commit", environment.path)
    }
}

private func withValue(_ bytes: [UInt8], _ body: (inout MDB_val) -> Int32) -> Int32 {
    bytes.withUnsafeBytes { bytes in
        var value = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        return body(&value)
    }
}

/// Whether hardly any room is left where a file is.
private func isDiskFull(_ path: String) -> Bool {
    var status = statvfs()
    return statvfs(path, &status) == 0 && UInt(status.f_bavail) * UInt(status.f_frsize) < 1 << 20
}

private func check(_ code: Int32, _ operation: String, _ path: String) throws(LMDBError) {
    guard code != MDB_SUCCESS else { return }
    throw LMDBError(code: code, operation: operation, path: path)
}

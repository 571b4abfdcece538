@preconcurrency import Glibc

/// Where a dataset's store is, and whether it still fits the dataset.
public enum StoreLocation {
    public static let suffix = ".mdb"

    /// The file of a dataset's store: `CACHE/KEY.mdb`, KEY being the XXH3-128 of the dataset's absolute path in
    /// hexadecimal digits; of several files, of their paths with a line feed between each two.
    public static func path(cacheDir: String, dataPaths: [String]) -> String {
        "\(cacheDir)/\(key(dataPaths))\(suffix)"
    }

    public static func key(_ dataPaths: [String]) -> String {
        Digest(of: expand(dataPaths).map(absolutePath).joined(separator: "\n")).hex
    }

    /// The files that paths stand for.
    ///
    /// As for a shell, a path with `*`, `?` or `[` that is no file itself stands for all files that fit, in the order of
    /// their names' bytes, and for itself if none does.
    public static func expand(_ dataPaths: [String]) -> [String] {
        dataPaths.flatMap { path in isPattern(path) && !fileExists(path) ? matches(path) : [path] }
    }

    private static func isPattern(_ path: String) -> Bool { path.utf8.contains(where: "*?[".utf8.contains) }

    private static func matches(_ pattern: String) -> [String] {
        var result = glob_t()
        defer { globfree(&result) }
        guard glob(pattern, GLOB_NOSORT, nil, &result) == 0, let paths = result.gl_pathv else { return [pattern] }
        let found = (0..<Int(result.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
        return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The finished stores in a cache directory, sorted by name.
    public static func stores(in cacheDir: String) throws -> [String] {
        try listDirectory(cacheDir).filter { $0.hasSuffix(suffix) }.map { "\(cacheDir)/\($0)" }
    }

    /// The files of builds that were begun and not finished, sorted by name.
    public static func unfinished(in cacheDir: String) throws -> [String] {
        try listDirectory(cacheDir).filter { $0.hasSuffix("\(suffix).partial") }.map { "\(cacheDir)/\($0)" }
    }

    /// The data files as they are now, without digests.
    public static func files(_ dataPaths: [String]) throws -> [StoreManifest.DataFile] {
        try expand(dataPaths).map { path in
            guard fileExists(path) || !isPattern(path) else { throw StoreError(path, "no file fits this pattern") }
            return StoreManifest.DataFile(path: absolutePath(path), status: try FileStatus(of: path))
        }
    }

    /// Whether a dataset is what a store was built from and more: records appended to its last file.
    public static func isGrown(since manifest: StoreManifest, dataPaths: [String]) throws -> Bool {
        let now = try files(dataPaths)
        guard now.map(\.path) == manifest.files.map(\.path), manifest.files.allSatisfy(\.isAppendable),
            let old = manifest.files.last, let new = now.last, new.status.size > old.status.size
        else { return false }
        for (old, new) in zip(manifest.files, now).dropLast() where old.status != new.status {
            guard try old.digest == Digest(ofFile: new.path).hex else { return false }
        }
        return try Digest(ofFile: new.path, first: old.status.size).hex == old.digest
    }

    /// Another store of the cache that was built from the same contents in the same way, if there is one.
    ///
    /// - Parameter manifest: What a store of these files would say of itself.
    /// - Returns: The store, and the files with their digests.
    public static func twin(
        of manifest: StoreManifest, in cacheDir: String, except path: String
    ) throws -> (store: String, files: [StoreManifest.DataFile])? {
        var files = manifest.files
        for store in try stores(in: cacheDir) where store != path {
            guard let other = try? SampleStore(reading: store).manifest, other.changes(to: manifest).isEmpty,
                other.files.map(\.status.size) == files.map(\.status.size)
            else { continue }
            for i in files.indices where files[i].digest == nil {
                files[i].digest = try Digest(ofFile: files[i].path).hex
            }
            guard other.files.map(\.digest) == files.map(\.digest) else { continue }
            for i in files.indices { files[i].isAppendable = other.files[i].isAppendable }
            return (store, files)
        }
        return nil
    }

    /// What has changed in the dataset since a store was built from it, in a sentence for people; nil if nothing has.
    ///
    /// A file with the same size, time and inode is taken to be the same; any other is read again and compared by its
    /// digest.
    public static func change(since manifest: StoreManifest, dataPaths: [String]) throws -> String? {
        let now = try files(dataPaths)
        guard now.map(\.path) == manifest.files.map(\.path) else {
            func list(_ files: [StoreManifest.DataFile]) -> String { files.map(\.path).joined(separator: ", ") }
            return "dataset: \(list(manifest.files)) -> \(list(now))"
        }
        for (old, new) in zip(manifest.files, now) where old.status != new.status {
            if old.status.size != new.status.size {
                return "size of \(new.path): \(old.status.size) -> \(new.status.size) bytes"
            }
            let digest = try Digest(ofFile: new.path, check: Interrupt.check).hex
            if digest != old.digest { return "content of \(new.path): \(old.digest ?? "unknown") -> \(digest)" }
        }
        return nil
    }
}

extension SampleStore {
    /// Opens the store of a dataset, which must be there and still fit it.
    ///
    /// - Parameter buildCommand: The command line that builds it, as a user would type it, from what a store that is there
    ///   was built with.
    /// - Throws: `StoreError` that says what is missing or has changed and prints the command.
    public static func open(cacheDir: String, dataPaths: [String], buildCommand: (StoreManifest?) -> String) throws
        -> SampleStore
    {
        let path = StoreLocation.path(cacheDir: cacheDir, dataPaths: dataPaths)
        let dataset = dataPaths.joined(separator: ", ")
        guard fileExists(path) else {
            let state = fileExists(path + ".partial") ? "was begun but isn't finished" : "isn't there"
            throw StoreError(path, "the store of \(dataset) \(state); build it with\n  \(buildCommand(nil))")
        }
        let store = try SampleStore(reading: path)
        if let change = try StoreLocation.change(since: store.manifest, dataPaths: dataPaths) {
            throw StoreError(
                path,
                "the store of \(dataset) is out of date (\(change)); build it again with\n  "
                    + buildCommand(store.manifest))
        }
        return store
    }
}

/// The right to build one store: other processes that want to build the same one wait.
///
/// It ends with the process, however that ends.
public final class BuildLock {
    private let file: String
    private let descriptor: Int32

    /// Waits until no other process builds the store at `path`.
    /// - Parameter willWait: Called once if there is such a process.
    public init(_ path: String, willWait: () -> Void) throws {
        file = path + ".lock"
        var isWaiting = false
        while true {
            if let descriptor = try Self.lock(file) {
                self.descriptor = descriptor
                return
            }
            if !isWaiting { willWait() }
            isWaiting = true
            try Interrupt.check()
            usleep(50_000)
        }
    }

    /// Takes the lock if no other process has it, else nil.
    public init?(ifFree path: String) throws {
        file = path + ".lock"
        guard let descriptor = try Self.lock(file) else { return nil }
        self.descriptor = descriptor
    }

    /// Opens and locks a file; nil if another process has it, or has just removed it.
    private static func lock(_ file: String) throws(FileError) -> Int32? {
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(file, "create it") }
        var (own, named) = (stat(), stat())
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
            if fstat(descriptor, &own) == 0, stat(file, &named) == 0, own.st_ino == named.st_ino { return descriptor }
            close(descriptor)
            return nil
        }
        let code = errno
        close(descriptor)
        guard code == EWOULDBLOCK || code == EINTR else { throw FileError(file, "lock it", code: code) }
        return nil
    }

    /// Removes the lock's file, for who leaves nothing that it would guard.
    public func removeFile() throws(FileError) {
        guard unlink(file) == 0 || errno == ENOENT else { throw FileError(file, "remove it") }
    }

    deinit { close(descriptor) }
}

/// A word as a shell reads it, quoted if it must be.
public func shellQuoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: ":"), UInt8(ascii: ","):
            true
        default: byte >= 0x80
        }
    }
    return plain && !word.isEmpty
        ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}

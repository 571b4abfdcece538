@preconcurrency import Glibc

/// An open directory in which others may write too.
///
/// What is in it is named by its name and never by a path, so that it is this directory's also if the path leads elsewhere
/// meanwhile; and no symbolic link in it is followed: one that somebody has planted is an error, or is itself removed.
public final class Directory: Sendable {
    public let path: String
    private let descriptor: Int32

    /// What a name stands for, without following a link.
    public struct Status: Equatable, Sendable {
        public enum Kind: Sendable { case file, directory, link, other }
        public let kind: Kind
        public let size: Int
        public let inode: Int
        public let modifiedNanoseconds: Int

        fileprivate init(_ status: stat) {
            switch status.st_mode & S_IFMT {
            case S_IFREG: kind = .file
            case S_IFDIR: kind = .directory
            case S_IFLNK: kind = .link
            default: kind = .other
            }
            size = status.st_size
            inode = Int(bitPattern: UInt(status.st_ino))
            modifiedNanoseconds = status.modifiedNanoseconds
        }
    }

    /// - Throws: `FileError` if there is no such directory; links on the way to it are followed.
    public init(_ path: String) throws(FileError) {
        self.path = path
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, "open the directory") }
    }

    private init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    public func path(of name: String) -> String { "\(path)/\(name)" }

    /// What a name stands for; nil if there is nothing.
    public func status(of name: String) throws(FileError) -> Status? {
        var status = stat()
        if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return Status(status) }
        guard errno == ENOENT else { throw FileError(path(of: name), "look at it") }
        return nil
    }

    /// The names in the directory, sorted.
    public func names() throws(FileError) -> [String] { try listDirectory(path) }

    /// A directory in this one; nil if there is none.
    public func directory(_ name: String) throws(FileError) -> Directory? {
        let child = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if child < 0 && errno == ENOENT { return nil }
        guard child >= 0 else { throw FileError(path(of: name), "open the directory") }
        return Directory(path: path(of: name), descriptor: child)
    }

    /// Makes a directory that only this user may use.
    public func makeDirectory(_ name: String) throws(FileError) -> Directory {
        guard mkdirat(descriptor, name, 0o700) == 0 else { throw FileError(path(of: name), "make the directory") }
        guard let made = try directory(name) else { throw FileError(path(of: name), "open the directory") }
        return made
    }

    /// Opens a regular file; nil if there is none and it isn't made.
    public func open(_ name: String, _ flags: Int32) throws(FileError) -> OpenFile? {
        let file = openat(descriptor, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o644)
        if file < 0 && errno == ENOENT { return nil }
        guard file >= 0 else {
            throw errno == ELOOP
                ? FileError(
                    path(of: name), "open it", reason: "it is a symbolic link, which nobody should have made here")
                : FileError(path(of: name), "open it")
        }
        let opened = OpenFile(path: path(of: name), descriptor: file)
        guard opened.status.kind == .file else {
            throw FileError(path(of: name), "open it", reason: "it isn't a regular file")
        }
        return opened
    }

    /// A new file of a name, whatever was there before; what a link leads to stays as it is.
    public func create(_ name: String) throws(FileError) -> OpenFile {
        try remove(name)
        guard let file = try open(name, O_RDWR | O_CREAT | O_EXCL) else { throw FileError(path(of: name), "create it") }
        return file
    }

    /// The contents of a small regular file; nil if there is none.
    public func contents(_ name: String) throws(FileError) -> [UInt8]? {
        guard let file = try open(name, O_RDONLY) else { return nil }
        return try file.bytes(at: 0, count: min(file.status.size, 1 << 24))
    }

    /// Writes a file aside, as `NAME.partial`, and renames it: it is there whole or not at all.
    public func replace(_ name: String, _ contents: some Sequence<UInt8>) throws(FileError) {
        let file = try create(name + ".partial")
        try file.append(Array(contents))
        try file.sync()
        try rename(name + ".partial", to: name)
    }

    public func rename(_ name: String, to other: String) throws(FileError) {
        guard renameat(descriptor, name, descriptor, other) == 0 else {
            throw FileError(path(of: other), "rename \(path(of: name)) to it")
        }
    }

    /// Gives a file a second name.
    /// - Returns: Whether the file system can.
    public func link(_ name: String, as other: String) throws(FileError) -> Bool {
        if linkat(descriptor, name, descriptor, other, 0) == 0 { return true }
        if [EPERM, EXDEV, EMLINK, ENOTSUP, ENOSYS].contains(errno) { return false }
        throw FileError(path(of: other), "link \(path(of: name)) to it")
    }

    /// Removes a file or a link, if it is there.
    public func remove(_ name: String) throws(FileError) {
        guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else {
            throw FileError(path(of: name), "remove it")
        }
    }

    /// Removes a file, a link or a directory with all in it.
    public func removeTree(_ name: String) throws(FileError) { try removeTree(Array(name.utf8CString)) }

    private func removeTree(_ name: [CChar]) throws(FileError) {
        if unlinkat(descriptor, name, 0) == 0 || errno == ENOENT { return }
        let shown = path(of: name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" })
        guard errno == EISDIR || errno == EPERM else { throw FileError(shown, "remove it") }
        let child = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard child >= 0 else { throw FileError(shown, "open the directory") }
        let directory = Directory(path: shown, descriptor: child)
        // Another process may still put something into it, which knows only afterwards that it is gone.
        for _ in 0..<200 {
            for name in try directory.rawNames() { try directory.removeTree(name) }
            if unlinkat(descriptor, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return }
            guard errno == ENOTEMPTY || errno == EEXIST else { break }
            usleep(500)
        }
        throw FileError(shown, "remove the directory")
    }

    /// The names as the file system has them, which needn't be UTF-8.
    private func rawNames() throws(FileError) -> [[CChar]] {
        guard let stream = fdopendir(dup(descriptor)) else { throw FileError(path, "list the directory") }
        defer { closedir(stream) }
        // The offset is shared with whoever has read it before.
        rewinddir(stream)
        var names: [[CChar]] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    Array(UnsafeBufferPointer(start: name, count: strlen(name) + 1))
                }
            }
            if name != [46, 0] && name != [46, 46, 0] { names.append(name) }
        }
        return names
    }

    /// Waits until the directory's entries are on the disk.
    public func sync() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError(path, "sync the directory") }
    }
}

/// An open regular file of a `Directory`.
public final class OpenFile: Sendable {
    public let path: String
    public let descriptor: Int32

    fileprivate init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// A path of this very file, for libraries that open files by path.
    ///
    /// Not even who exchanges the name meanwhile has them open another file. The name where there is no /proc.
    public var pinnedPath: String {
        let pinned = "/proc/self/fd/\(descriptor)"
        return access(pinned, F_OK) == 0 ? pinned : path
    }

    public var status: Directory.Status {
        var status = stat()
        // Can't fail: the descriptor is open.
        fstat(descriptor, &status)
        return Directory.Status(status)
    }

    /// Whether no name stands for the file any more.
    public var isRemoved: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink == 0
    }

    public func append(_ bytes: [UInt8]) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw FileError(path, "write it") }
            done += max(0, count)
        }
    }

    /// Bytes at an offset: fewer only where the file ends.
    public func bytes(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, offset + filled)
                if got < 0 && errno == EINTR { continue }
                failed = got < 0
                if got <= 0 { break }
                filled += got
            }
        }
        if failed { throw FileError(path, "read it") }
        return bytes
    }

    public func sync() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError(path, "sync it") }
    }

    /// Sets the time of the last change to now: a sign of life.
    public func touch() { futimens(descriptor, nil) }
}

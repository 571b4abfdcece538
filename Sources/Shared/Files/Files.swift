@preconcurrency import Glibc

/// What the operating system refused, and where.
public struct FileError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let operation: String
    public let code: Int32
    private let reason: String

    /// The error that the last system call set.
    public init(_ path: String, _ operation: String, code: Int32 = errno) {
        self.path = path
        self.operation = operation
        self.code = code
        let free = Self.diskFull.contains(code) ? Self.free(path) : nil
        reason = String(cString: strerror(code)) + (free.map { "; \($0) are free there" } ?? "")
    }

    private static let diskFull = [ENOSPC, EDQUOT]

    /// Whether there was no room: on the disk, by a quota or by the limit of a file's size.
    public var isForWantOfRoom: Bool { Self.diskFull.contains(code) || code == EFBIG }

    /// What is free where a file is, for people; nil for what is none, as standard output.
    private static func free(_ path: String) -> String? {
        var status = statvfs()
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) }
        guard statvfs(path, &status) == 0 || directory.map({ statvfs($0, &status) == 0 }) ?? false else { return nil }
        let bytes = Double(status.f_bavail) * Double(status.f_frsize)
        return bytes < 1e6 ? "\(Int(bytes / 1e3)) kB" : "\(fixed(bytes / 1e6, 1)) MB"
    }

    /// An error that no system call set.
    public init(_ path: String, _ operation: String, reason: String) {
        (self.path, self.operation, code, self.reason) = (path, operation, EINVAL, reason)
    }

    public var description: String { "\(path): can't \(operation): \(reason)" }
}

/// The whole of a file.
public func readFile(_ path: String) throws(FileError) -> [UInt8] {
    let map = try MappedFile(path)
    return withExtendedLifetime(map) { Array(map.bytes) }
}

/// Writes a file aside, syncs it and renames it, so that it is there whole or not at all.
public func writeFile(_ path: String, _ contents: some Sequence<UInt8>) throws(FileError) {
    let aside = path + ".partial"
    // What is left of an earlier writer is of no use, and a link that somebody planted isn't to be followed.
    guard unlink(aside) == 0 || errno == ENOENT else { throw FileError(aside, "remove it") }
    let file = try OutputFile(aside, isNew: true)
    do throws(FileError) {
        let written = Array(contents).withUnsafeBytes { bytes in
            Result { () throws(FileError) in try file.write(bytes) }
        }
        try written.get()
        try file.finish()
        guard rename(aside, path) == 0 else { throw FileError(path, "rename \(aside) to it") }
    } catch {
        // Half a file is of no use to anyone, and the room may be.
        unlink(aside)
        throw error
    }
}

/// A file that is mapped into memory to be read.
///
/// `bytes` is valid as long as this object: who reads them must keep it (`withExtendedLifetime`).
public final class MappedFile: @unchecked Sendable {
    public let path: String
    public let bytes: UnsafeRawBufferPointer

    public init(_ path: String) throws(FileError) {
        self.path = path
        // A pipe that nobody writes to isn't waited for.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, "open it") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path, "look at it") }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw FileError(path, "read it", code: EISDIR)
        default: throw FileError(path, "map it into memory", reason: "it is a pipe or a device, should be a file")
        }
        guard status.st_size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let start = mmap(nil, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw FileError(path, "map it into memory") }
        bytes = UnsafeRawBufferPointer(start: start, count: status.st_size)
    }

    /// Lets go of whole pages within a range: they are read from the file if they are needed again.
    public func release(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let (first, last) = ((range.lowerBound + page - 1) / page * page, range.upperBound / page * page)
        guard let start = bytes.baseAddress, first < last else { return }
        madvise(UnsafeMutableRawPointer(mutating: start + first), last - first, MADV_DONTNEED)
    }

    deinit {
        if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
    }
}

/// A file that is written from its beginning to its end.
public final class OutputFile {
    public let path: String
    private let descriptor: Int32
    private var isOpen = true

    /// - Parameter isNew: Whether it is an error if something has that name already, be it a link.
    public init(_ path: String, isNew: Bool = false) throws(FileError) {
        self.path = path
        let flags = isNew ? O_EXCL | O_NOFOLLOW : O_TRUNC
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0o644)
        guard descriptor >= 0 else { throw FileError(path, "create it") }
    }

    deinit { if isOpen { close(descriptor) } }

    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
            guard written >= 0 else {
                if errno == EINTR { continue }
                throw FileError(path, "write it")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
        }
    }

    /// Waits until the contents are on the disk, and closes the file.
    public func finish() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError(path, "sync it") }
        isOpen = false
        guard close(descriptor) == 0 else { throw FileError(path, "close it") }
    }
}

public func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

/// Whether a path is a symbolic link, be it to nothing.
public func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
}

/// Makes a directory and those above it.
public func makeDirectory(_ path: String) throws(FileError) {
    if mkdir(path, 0o755) == 0 { return }
    if errno == ENOENT, let parent = parentDirectory(path), parent != path {
        try makeDirectory(parent)
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw FileError(path, "make the directory") }
        return
    }
    guard errno == EEXIST else { throw FileError(path, "make the directory") }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw FileError(path, "make the directory", code: ENOTDIR)
    }
}

/// Waits until a directory's entries are on the disk.
public func syncDirectory(_ path: String) throws(FileError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(path, "open the directory") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw FileError(path, "sync the directory") }
}

/// The names in a directory, sorted, without `.` and `..`.
public func listDirectory(_ path: String) throws(FileError) -> [String] {
    guard let directory = opendir(path) else { throw FileError(path, "list the directory") }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Removes a directory and all in it, nothing if it isn't there; of a link, the link.
public func removeDirectory(_ path: String) throws(FileError) {
    var status = stat()
    if lstat(path, &status) != 0 && errno == ENOENT { return }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    try Directory(directory(of: path)).removeTree(name)
}

/// Removes a file or a link, nothing if it isn't there.
public func removeFile(_ path: String) throws(FileError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw FileError(path, "remove it") }
}

/// Gives a file or a directory that is written another name, in place of a file that has it.
public func renameFile(_ path: String, to final: String) throws(FileError) {
    guard rename(path, final) == 0 else { throw FileError(final, "rename \(path) to it") }
}

/// The path from the root, without links, `.` and `..`; what doesn't exist stays as it is written.
public func absolutePath(_ path: String) -> String {
    if let resolved = realpath(path, nil) {
        defer { free(resolved) }
        return String(cString: resolved)
    }
    guard !path.hasPrefix("/") else { return path }
    guard let working = getcwd(nil, 0) else { return path }
    defer { free(working) }
    return "\(String(cString: working))/\(path)"
}

private func parentDirectory(_ path: String) -> String? {
    guard let slash = path.dropLast(path.hasSuffix("/") ? 1 : 0).lastIndex(of: "/") else { return nil }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

@preconcurrency import Glibc

/// A file that is read from its beginning to its end, in blocks.
public final class InputFile {
    public let path: String
    private let descriptor: Int32

    /// - Throws: `FileError` if it can't be read or is a directory.
    public init(_ path: String) throws(FileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, "open it") }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    deinit { close(descriptor) }

    /// Reads the next bytes, fewer than fit only at the file's end.
    /// - Returns: How many bytes were read; 0 at the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path, "read it") }
            if count == 0 { break }
            filled += count
        }
        return filled
    }
}

/// What a file system says of a file: enough to see that it hasn't been touched.
public struct FileStatus: Equatable, Sendable {
    /// In bytes.
    public var size: Int
    public var modifiedNanoseconds: Int
    public var inode: Int

    public init(size: Int, modifiedNanoseconds: Int, inode: Int) {
        self.size = size
        self.modifiedNanoseconds = modifiedNanoseconds
        self.inode = inode
    }

    /// - Throws: `FileError` if there is no such file, or it is none that can be read.
    public init(of path: String) throws(FileError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError(path, "open it") }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw FileError(path, "read it", code: EISDIR) }
        guard access(path, R_OK) == 0 else { throw FileError(path, "read it") }
        size = status.st_size
        modifiedNanoseconds = status.modifiedNanoseconds
        inode = Int(bitPattern: UInt(status.st_ino))
    }
}

extension stat {
    /// Since 1970; of a time that 64 bits have no room for, another number that it alone has within 584 years.
    var modifiedNanoseconds: Int { st_mtim.tv_sec &* 1_000_000_000 &+ st_mtim.tv_nsec }
}

/// The directory that a path is in.
public func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

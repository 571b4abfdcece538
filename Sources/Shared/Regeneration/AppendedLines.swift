@preconcurrency import Glibc

/// A file of lines of JSON that is only ever appended to: whenever the program ends, it is whole up to its last line end.
final class AppendedLines {
    let path: String
    private let descriptor: Int32
    private var pending: [UInt8] = []
    /// Bytes of whole lines that are in the file.
    private var length = 0

    /// Opens or makes the file.
    ///
    /// - Throws: `FileError`; `RegenerationError` if another process has it.
    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
        guard descriptor >= 0 else { throw FileError(path, "open it") }
        do {
            guard try status().st_mode & S_IFMT == S_IFREG else {
                throw FileError(path, "append to it", reason: "it isn't a regular file")
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw errno == EWOULDBLOCK
                    ? RegenerationError(path, "another process is writing it") : FileError(path, "lock it")
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    private func status() throws(FileError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path, "look at it") }
        return status
    }

    var isEmpty: Bool { get throws(FileError) { try status().st_size == 0 } }

    /// Discards everything.
    func clear() throws(FileError) { try cut(to: 0) }

    /// Hands out each line as JSON, and cuts off what a run that was ended left after the last whole one.
    ///
    /// - Throws: `RegenerationError` that names the line, if one within the file can't be read.
    func readLines(_ body: (JSONValue) throws -> Void) throws {
        var broken: (line: Int, start: Int, message: String)?
        var end = 0
        try JSONLineReader.read(path) { line, range, value in
            if let broken {
                throw RegenerationError(
                    path, "line \(broken.line) \(broken.message), and others follow it; remove that line to continue")
            }
            switch value {
            case .success(let value):
                try body(value)
                end = range.upperBound
            case .failure(let error): broken = (line, range.lowerBound, error.message)
            }
        }
        try cut(to: end)
    }

    private func cut(to length: Int) throws(FileError) {
        guard ftruncate(descriptor, length) == 0 else { throw FileError(path, "cut off its last line") }
        guard lseek(descriptor, length, SEEK_SET) >= 0 else { throw FileError(path, "append to it") }
        self.length = length
    }

    /// Adds a line, which is in the file after `flush`.
    func append(_ line: JSONText) {
        pending += line.compact.utf8
        pending.append(UInt8(ascii: "\n"))
    }

    var pendingBytes: Int { pending.count }

    /// Writes what was added; where that fails, as on a full disk, the file keeps the whole lines that were written, and the
    /// others are still to be.
    func flush() throws(FileError) {
        var done = 0
        while done < pending.count {
            let count = pending[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let error = FileError(path, "write it")
                let whole = pending[..<done].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
                try? cut(to: length + whole)
                pending.removeFirst(whole)
                throw error
            }
            done += count
        }
        length += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// Writes what was added, and waits until it is on the disk.
    func sync() throws(FileError) {
        try flush()
        guard fsync(descriptor) == 0 else { throw FileError(path, "sync it") }
    }
}

/// Reads lines of JSON one after another, whatever the file's size.
enum JSONLineReader {
    /// Calls `body` with each line's number, its range in the file without the line end, and its value or what is wrong.
    ///
    /// What follows the last line end is no line; an empty one isn't JSON.
    /// - Parameter body: The range's upper bound is after the line end.
    static func read(
        _ path: String, _ body: (_ line: Int, _ range: Range<Int>, _ value: Result<JSONValue, JSONError>) throws -> Void
    ) throws {
        let file = try InputFile(path)
        let parser = JSONParser()
        var (buffer, offset, line) = ([UInt8](), 0, 0)
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try block.withUnsafeMutableBytes { bytes throws(FileError) in try file.read(into: bytes) }
            guard count > 0 else { return }
            let searched = buffer.count
            buffer += block[..<count]
            var (start, from) = (0, searched)
            while let end = buffer[from...].firstIndex(of: UInt8(ascii: "\n")) {
                line += 1
                let value = Result { () throws(JSONError) in try parser.parse(buffer[start..<end]) }
                try body(line, offset + start..<offset + end + 1, value)
                (start, from) = (end + 1, end + 1)
            }
            buffer.removeSubrange(..<start)
            offset += start
        }
    }
}

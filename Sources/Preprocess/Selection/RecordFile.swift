@preconcurrency import Glibc
import Shared

/// A file of records, a line each, which is there whole or not at all.
final class RecordFile {
    private let path: String
    private let file: OutputFile
    private var pending: [UInt8] = []
    private var isFinished = false

    init(_ path: String) throws {
        self.path = path
        guard unlink("\(path).partial") == 0 || errno == ENOENT else { throw FileError("\(path).partial", "remove it") }
        file = try OutputFile("\(path).partial", isNew: true)
    }

    deinit { if !isFinished { unlink("\(path).partial") } }

    /// Line ends stand only between a record's values.
    func add(_ record: UnsafeRawBufferPointer) throws {
        for byte in record { pending.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte) }
        pending.append(0x0A)
        if pending.count > 1 << 20 { try flush() }
    }

    private func flush() throws {
        let written = pending.withUnsafeBytes { bytes in Result { () throws(FileError) in try file.write(bytes) } }
        try written.get()
        pending.removeAll(keepingCapacity: true)
    }

    func finish() throws {
        try flush()
        try file.finish()
        guard rename("\(path).partial", path) == 0 else { throw FileError(path, "rename \(path).partial to it") }
        isFinished = true
    }
}

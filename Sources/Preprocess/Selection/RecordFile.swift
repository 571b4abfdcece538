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
    ///
    /// - Parameter member: What the record gets besides; one that is an array of messages becomes an object for it.
    func add(_ record: UnsafeRawBufferPointer, with member: (name: String, value: JSONText)? = nil) throws {
        let start = pending.count
        for byte in record { pending.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte) }
        if let member {
            let isArray = record.first == UInt8(ascii: "[")
            if isArray { pending.insert(contentsOf: Array("{\"messages\": ".utf8), at: start) }
            if !isArray, let end = pending.lastIndex(of: UInt8(ascii: "}")) { pending.removeSubrange(end...) }
            pending += Array(", \(JSONText.quoted(member.name)): \(member.value.compact)}".utf8)
        }
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

@preconcurrency import Glibc
import Shared

/// Batches of records on their way from one process to another: a file that one appends to while the other reads it.
///
/// A frame is its size in four bytes, low ones first, and a zstd frame. Its content is one more than the batch's number,
/// and its records; or 0, and why there won't be any more.
final class RecordFileWriter {
    private let file: OutputFile
    private let compressor = Compressor(level: 1)

    init(_ path: String) throws(FileError) { file = try OutputFile(path) }

    func append(_ records: [SourceRecord], number: Int) throws(FileError) {
        var content = ByteWriter()
        content.varint(number + 1)
        SourceRecord.encode(records, to: &content)
        try write(content.bytes)
    }

    /// Tells the reader that the rest won't come.
    func fail(_ message: String) throws(FileError) {
        var content = ByteWriter()
        content.varint(0)
        content.string(message.utf8)
        try write(content.bytes)
    }

    private func write(_ content: [UInt8]) throws(FileError) {
        let frame = compressor.compress(content)
        let size = (0..<4).map { UInt8(truncatingIfNeeded: frame.count >> (8 * $0)) }
        let written = (size + frame).withUnsafeBytes { bytes in
            Result { () throws(FileError) in try file.write(bytes) }
        }
        try written.get()
    }
}

/// Reads what a `RecordFileWriter` of another process writes.
final class RecordFileReader {
    private static let limit = 1 << 30

    private let path: String
    private var descriptor: Int32 = -1
    private var offset = 0
    private let decompressor = Decompressor()

    init(_ path: String) { self.path = path }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The next batch, which must have a number; nil if it isn't there yet.
    /// - Throws: `StoreError` if it is damaged, or the other process said why it doesn't come.
    func next(number: Int) throws -> [SourceRecord]? {
        if descriptor < 0 { descriptor = open(path, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0, let head = try read(4, at: offset) else { return nil }
        let size = head.enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        guard size <= Self.limit else { throw StoreError(path, "is damaged: a batch says that it has \(size) bytes") }
        guard let frame = try read(size, at: offset + 4) else { return nil }
        offset += 4 + size
        let content: [UInt8]
        do {
            content = try frame.withUnsafeBytes { frame in
                Result { () throws(ZstandardError) in try decompressor.content(of: frame, limit: Self.limit) }
            }.get()
        } catch {
            throw StoreError(path, "batch \(number) is damaged: \(error.message)")
        }
        return try records(content, number: number)
    }

    private func records(_ content: [UInt8], number: Int) throws(StoreError) -> [SourceRecord] {
        let result = content.withUnsafeBytes { bytes in
            Result { () throws(DecodingFailure) -> (failure: String?, records: [SourceRecord]) in
                var reader = ByteReader(bytes)
                let stored = try reader.varint("a batch's number")
                if stored == 0 { return (String(decoding: try reader.string("a failure"), as: UTF8.self), []) }
                guard stored == number + 1 else { throw DecodingFailure("batch \(stored - 1) is there instead") }
                let records = try SourceRecord.decode(&reader)
                try reader.expectEnd()
                return (nil, records)
            }
        }
        do {
            let (failure, records) = try result.get()
            if let failure { throw StoreError(path, failure) }
            return records
        } catch let error as DecodingFailure {
            throw StoreError(path, "batch \(number) is damaged: \(error.message)")
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(path, "\(error)")
        }
    }

    /// So many bytes, if the file has them already.
    private func read(_ count: Int, at offset: Int) throws(FileError) -> [UInt8]? {
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
        return bytes.count == count ? bytes : nil
    }
}

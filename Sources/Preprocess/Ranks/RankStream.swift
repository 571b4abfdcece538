@preconcurrency import Glibc
import Shared

/// What one rank sends to rank 0: files that one appends to while the other reads them.
///
/// A rank's files are `rank-R.0`, `rank-R.1`, …. When one is full the next is begun, and the reader removes each that it
/// has read: so a rank whose batches aren't fetched waits, and has no more than two files on the disk.
///
/// A frame is its size in four bytes, low ones first, and a zstd frame. A size of 0 means that the next file continues.
enum RankStream {
    /// Bytes after which a file is full.
    static let fileBytes = 16 << 20
    /// The largest content of a frame, in bytes.
    fileprivate static let limit = 1 << 30

    enum Message {
        /// A batch of records by its number.
        case batch(Int, [SourceRecord])
        /// The rank's part is done; it read files with these digests.
        case end(digests: [String])
        /// Why the rest won't come.
        case failure(String)
    }

    static func name(_ rank: Int, _ number: Int) -> String { "rank-\(rank).\(number)" }
}

/// Sends messages; one thread uses it.
final class RankStreamWriter {
    private let directory: Directory
    private let rank: Int
    private let fileBytes: Int
    private let compressor = Compressor(level: 1)
    private var number = 0
    private var file: OpenFile
    private var bytes = 0
    /// Called again and again while the reader has two files to read.
    private let wait: () throws -> Void

    init(
        _ directory: Directory, rank: Int, fileBytes: Int = RankStream.fileBytes, wait: @escaping () throws -> Void
    ) throws(FileError) {
        (self.directory, self.rank, self.fileBytes, self.wait) = (directory, rank, fileBytes, wait)
        file = try directory.create(RankStream.name(rank, 0))
    }

    func send(_ message: RankStream.Message) throws {
        if bytes >= fileBytes, case .batch = message { try beginNext() }
        let frame = compressor.compress(message.encoded)
        try file.append(Self.size(frame.count) + frame)
        bytes += 4 + frame.count
    }

    private func beginNext() throws {
        while number > 0, try directory.status(of: RankStream.name(rank, number - 1)) != nil { try wait() }
        let next = try directory.create(RankStream.name(rank, number + 1))
        try file.append(Self.size(0))
        (file, number, bytes) = (next, number + 1, 0)
    }

    private static func size(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }
}

/// Reads what a `RankStreamWriter` of another process sends.
final class RankStreamReader {
    private let directory: Directory
    private let rank: Int
    private var number = 0
    private var file: OpenFile?
    private var offset = 0
    private let decompressor = Decompressor()

    init(_ directory: Directory, rank: Int) { (self.directory, self.rank) = (directory, rank) }

    private var path: String { directory.path(of: RankStream.name(rank, number)) }

    /// The next message; nil if it isn't there yet.
    /// - Throws: `StoreError` if it is damaged.
    func next() throws -> RankStream.Message? {
        if file == nil { file = try directory.open(RankStream.name(rank, number), O_RDONLY) }
        guard let file else { return nil }
        let available = file.status.size - offset
        guard available >= 4 else { return nil }
        let size = try file.bytes(at: offset, count: 4).enumerated().reduce(0) {
            $0 | Int($1.element) << (8 * $1.offset)
        }
        if size == 0 {
            try directory.remove(RankStream.name(rank, number))
            (self.file, number, offset) = (nil, number + 1, 0)
            return try next()
        }
        guard size <= RankStream.limit else { throw StoreError(path, "is damaged: a message of \(size) bytes") }
        guard available >= 4 + size else { return nil }
        let frame = try file.bytes(at: offset + 4, count: size)
        offset += 4 + size
        do {
            let content = try frame.withUnsafeBytes { frame in
                Result { () throws(ZstandardError) in try decompressor.content(of: frame, limit: RankStream.limit) }
            }.get()
            return try content.withUnsafeBytes { bytes in
                Result { () throws(DecodingFailure) in try RankStream.Message(decoding: bytes) }
            }.get()
        } catch let error as ZstandardError {
            throw StoreError(path, "is damaged: \(error.message)")
        } catch let error as DecodingFailure {
            throw StoreError(path, "is damaged: \(error.message)")
        }
    }
}

extension RankStream.Message {
    var encoded: [UInt8] {
        var content = ByteWriter()
        switch self {
        case .failure(let message):
            content.varint(0)
            content.string(message.utf8)
        case .end(let digests):
            content.varint(1)
            content.varint(digests.count)
            for digest in digests { content.string(digest.utf8) }
        case .batch(let number, let records):
            content.varint(2)
            content.varint(number)
            SourceRecord.encode(records, to: &content)
        }
        return content.bytes
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        let kind = try reader.varint("a message's kind")
        switch kind {
        case 0: self = .failure(String(decoding: try reader.string("a failure"), as: UTF8.self))
        case 1:
            var digests: [String] = []
            for _ in 0..<(try reader.count("the number of digests")) {
                digests.append(String(decoding: try reader.string("a digest"), as: UTF8.self))
            }
            self = .end(digests: digests)
        case 2:
            let number = try reader.varint("a batch's number")
            self = .batch(number, try SourceRecord.decode(&reader))
        default: throw DecodingFailure("a message's kind is \(kind)")
        }
        try reader.expectEnd()
    }
}

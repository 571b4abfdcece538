/// What became of one record of the dataset.
public struct SourceRecord: Sendable {
    public enum Outcome: Sendable {
        /// The samples that the record was made into; at least one.
        case kept([Sample])
        /// - reason: What is counted; detail: what exactly is wrong with this record.
        case rejected(reason: String, detail: String)
    }

    /// Something that was mended so that the record could be used.
    public struct Repair: Equatable, Sendable {
        public var reason: String
        public var droppedMessages: Int

        /// What the store's note says besides the reason.
        public var detail: String

        public init(_ reason: String, droppedMessages: Int) {
            self.reason = reason
            self.droppedMessages = droppedMessages
            let messages = droppedMessages == 1 ? "message" : "messages"
            detail = droppedMessages == 0 ? "" : "\(droppedMessages) \(messages) left out"
        }

        /// A repair that a store tells of: how many messages it left out is counted there already.
        init(_ note: SourceNote) {
            (reason, detail, droppedMessages) = (note.reason, note.detail, 0)
        }
    }

    /// None if it was rejected.
    var samples: [Sample] {
        if case .kept(let samples) = outcome { samples } else { [] }
    }

    public var source: SampleSource
    /// Where the record begins in its file, in bytes.
    public var offset: Int
    public var outcome: Outcome
    public var repairs: [Repair]
    /// Samples of the record that were cut to the most tokens.
    public var truncated: Int
    /// Samples of the record that were left out, because too few of their tokens are supervised.
    public var leftOut: Int

    public init(
        source: SampleSource, offset: Int, outcome: Outcome, repairs: [Repair] = [], truncated: Int = 0,
        leftOut: Int = 0
    ) {
        self.source = source
        self.offset = offset
        self.outcome = outcome
        self.repairs = repairs
        self.truncated = truncated
        self.leftOut = leftOut
    }
}

/// A record that was rejected or repaired, as the store remembers it.
public struct SourceNote: Equatable, Sendable {
    public enum Kind: Int, Sendable { case rejected = 0, repaired = 1 }

    public var kind: Kind
    public var file: Int
    public var line: Int
    public var offset: Int
    public var reason: String
    public var detail: String
}

extension SourceNote {
    static func encode(_ notes: [SourceNote], block: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.varint(block)
        writer.varint(notes.count)
        for note in notes {
            writer.varint(note.kind.rawValue)
            writer.varint(note.file)
            writer.varint(note.line)
            writer.varint(note.offset)
            writer.string(note.reason.utf8)
            writer.string(note.detail.utf8)
        }
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, block: Int) throws(DecodingFailure) -> [SourceNote] {
        var reader = ByteReader(bytes)
        try reader.expect(block, "the block's number")
        var notes: [SourceNote] = []
        for _ in 0..<(try reader.count("the number of notes", bytesEach: 6)) {
            let kind = try reader.varint("a note's kind")
            guard let kind = Kind(rawValue: kind) else { throw DecodingFailure("a note's kind is \(kind)") }
            notes.append(
                SourceNote(
                    kind: kind, file: try reader.varint("a file's number"), line: try reader.varint("a line's number"),
                    offset: try reader.varint("an offset"),
                    reason: String(decoding: try reader.string("a reason"), as: UTF8.self),
                    detail: String(decoding: try reader.string("a detail"), as: UTF8.self)))
        }
        try reader.expectEnd()
        return notes
    }
}

/// The keys of a store's records, in the form that Documentation/StoreFormat.md gives.
enum StoreKey {
    static let manifest = Array("manifest".utf8)
    static let ranks = Array("ranks".utf8)
    static let counts = Array("counts".utf8)
    /// Only in a store that is being built.
    static let progress = Array("progress".utf8)

    static func block(_ number: Int) -> [UInt8] { numbered("block/", number) }
    static func index(_ number: Int) -> [UInt8] { numbered("index/", number) }
    static func notes(_ number: Int) -> [UInt8] { numbered("notes/", number) }
    static func ofBlock(_ number: Int) -> [[UInt8]] { [block(number), index(number), notes(number)] }

    private static func numbered(_ prefix: String, _ number: Int) -> [UInt8] {
        let digits = String(number)
        return Array((prefix + String(repeating: "0", count: max(0, 10 - digits.count)) + digits).utf8)
    }
}

/// Why a store can't be read or written.
public struct StoreError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let message: String

    public init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { "\(path): \(message)" }
}

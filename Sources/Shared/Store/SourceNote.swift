/// A record that was rejected or repaired, as the store remembers it.
public struct SourceNote: Equatable, Sendable {
    public enum Kind: Int, Sendable { case rejected = 0, repaired = 1 }

    public var kind: Kind
    public var file: Int
    public var line: Int
    public var offset: Int
    public var reason: String
    public var detail: String

    package init(kind: Kind, file: Int, line: Int, offset: Int, reason: String, detail: String) {
        (self.kind, self.file, self.line, self.offset) = (kind, file, line, offset)
        (self.reason, self.detail) = (reason, detail)
    }
}

extension SourceNote {
    package static func encode(_ notes: [SourceNote], block: Int) -> [UInt8] {
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

/// A mapping as a store's record, in the form that Documentation/StoreFormat.md gives.
extension VocabularyMapping {
    package var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.varint(vocabSize)
        writer.varint(draftVocabSize)
        var next = 0
        for id in draftToTarget {
            writer.varint(Int(id) - next)
            next = Int(id) + 1
        }
        return writer.bytes
    }

    /// The target's id of each draft id, ascending.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, vocabSize: Int, draftVocabSize: Int
    ) throws(DecodingFailure) -> [Int32] {
        var reader = ByteReader(bytes)
        try reader.expect(vocabSize, "the vocabulary's size")
        try reader.expect(draftVocabSize, "the draft vocabulary's size")
        var (ids, next): ([Int32], Int) = ([], 0)
        ids.reserveCapacity(min(draftVocabSize, reader.remaining))
        for _ in 0..<draftVocabSize {
            let skipped = try reader.varint("a token's id")
            guard skipped < vocabSize - next else { throw DecodingFailure("a token's id isn't below \(vocabSize)") }
            ids.append(Int32(next + skipped))
            next += skipped + 1
        }
        try reader.expectEnd()
        return ids
    }
}

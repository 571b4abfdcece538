/// Where BPE never merges across: before most `▁` of a SentencePiece vocabulary.
///
/// Such vocabularies come without a pre-tokenizer, so that a whole text is one word. If no token has `▁` behind a byte,
/// no merge joins the two, and what stands before and behind is encoded by itself with the same result, which a cache
/// can then remember.
struct MetaspaceBoundary: Sendable {
    /// Whether some token has `▁` behind this byte.
    private var isCrossed = [Bool](repeating: false, count: 256)

    private static let mark = Array("▁".utf8)

    /// - Returns: nil where the vocabulary has no `▁`, without which unknown characters might join over the boundary.
    init?(_ vocabulary: Vocabulary) {
        guard vocabulary.id(of: Self.mark) != nil else { return nil }
        for id in 0..<vocabulary.count {
            guard let token = vocabulary.bytes(of: id), token.count > Self.mark.count else { continue }
            token.withUnsafeBufferPointer { token in
                for i in 1...token.count - Self.mark.count where isMark(token, i) && !isMark(token, i - 3) {
                    isCrossed[Int(token[i - 1])] = true
                }
            }
        }
    }

    /// Calls `body` with each part of a piece of text.
    @inline(__always)
    func forEachPart(_ piece: Range<Int>, of text: UnsafePointer<UInt8>, _ body: (Range<Int>) -> Void) {
        let bytes = UnsafeBufferPointer(start: text + piece.lowerBound, count: piece.count)
        var start = 0
        var i = 1
        while i < bytes.count {
            if bytes[i] == Self.mark0, isMark(bytes, i), !isCrossed[Int(bytes[i - 1])], !isMark(bytes, i - 3) {
                body(piece.lowerBound + start..<piece.lowerBound + i)
                start = i
            }
            i += 1
        }
        if start < bytes.count { body(piece.lowerBound + start..<piece.upperBound) }
    }

    private static let mark0: UInt8 = 0xE2

    /// Whether `▁` stands at `i`.
    @inline(__always)
    private func isMark(_ text: UnsafeBufferPointer<UInt8>, _ i: Int) -> Bool {
        i >= 0 && i + 2 < text.count && text[i] == Self.mark0 && text[i + 1] == 0x96 && text[i + 2] == 0x81
    }
}

import Shared

/// Encodes texts: one worker's scratch and cache for a `Tokenizer`.
///
/// The ids are those of Hugging Face's `tokenizers` without special tokens added (`add_special_tokens=False`).
final class TokenEncoder {
    private let tokenizer: Tokenizer
    private let lengths: UnsafePointer<Int32>
    private let words: any WordEncoder
    private let cache = WordCache()
    private let matcher = Matcher()
    private let text = PaddedText()
    private let normalizer = NormalizerScratch()
    private let splitter = SplitterScratch()

    init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        words = tokenizer.model.makeWordEncoder()
        lengths = tokenizer.lengths.start
    }

    /// Leaves the text's tokens in `encoded`, instead of what was there.
    ///
    /// - Parameter limit: How many tokens are wanted; what is after them is left out.
    /// - Throws: `PatternError` where the text isn't UTF-8, which no pattern is matched in; where the engine of patterns
    ///   gives up, as over backtracking without end; where rules make the text far longer; or where the program is
    ///   interrupted.
    func encode(
        _ text: UnsafeBufferPointer<UInt8>, into encoded: EncodedText, upTo limit: Int = .max
    ) throws(PatternError) {
        encoded.removeAll(limit: limit)
        self.text.removeAll()
        guard let start = text.baseAddress, !text.isEmpty else { return }
        guard text.count < Int32.max else {
            throw PatternError("can't be matched: the text has \(text.count) bytes, should be below \(Int32.max)")
        }
        self.text.append(start, count: text.count)
        let copy = AlignedView(start: UnsafePointer(self.text.start), range: 0..<text.count, origins: nil)
        guard UTF8Scalars.areValid(copy.bytes) else { throw PatternError("can't be matched: the text isn't UTF-8") }
        try forEachPart(of: copy, tokenizer.addedTokens, into: encoded) { part throws(PatternError) in
            let normal = try normalizer.normalize(part, tokenizer.normalizers, with: matcher)
            try forEachPart(of: normal, tokenizer.normalizedAddedTokens, into: encoded) { part throws(PatternError) in
                try encodeWords(part, into: encoded)
            }
        }
        try Self.checkInterrupt()
    }

    /// Looked at now and then, since a text may be a gigabyte.
    /// - Throws: `PatternError` if a signal has come that ends the program.
    @inline(__always)
    static func checkInterrupt() throws(PatternError) {
        if Interrupt.isRequested { throw PatternError("can't be matched: the program was interrupted") }
    }

    /// Appends the added tokens in a text, and calls `body` with each part between them that isn't empty.
    private func forEachPart(
        of text: AlignedView, _ finder: AddedTokenFinder, into encoded: EncodedText,
        _ body: (AlignedView) throws(PatternError) -> Void
    ) throws(PatternError) {
        guard !finder.isEmpty else { return text.range.isEmpty ? () : try body(text) }
        let (bytes, offset) = (text.bytes, text.range.lowerBound)
        var done = 0
        var position = 0
        while let match = finder.next(in: bytes, from: position, previousEnd: done, next: &position) {
            if done < match.start { try body(text.part(offset + done..<offset + match.start)) }
            guard !encoded.isFull else { return }
            try Self.checkInterrupt()
            let origin = text.origin(offset + match.start..<offset + match.end)
            encoded.reserve(1)
            encoded.append(match.id, Int(origin.lowerBound), Int(origin.upperBound))
            done = match.end
        }
        if done < bytes.count { try body(text.part(offset + done..<text.range.upperBound)) }
    }

    private func encodeWords(_ text: AlignedView, into encoded: EncodedText) throws(PatternError) {
        let first = encoded.count
        switch tokenizer.splitter.method {
        case .gpt2(let scanner): try scan(scanner, text, into: encoded)
        case .cl100k(let scanner): try scan(scanner, text, into: encoded)
        case .o200k(let scanner): try scan(scanner, text, into: encoded)
        case .steps(let steps):
            let split = try splitter.words(of: text, steps, with: matcher)
            for word in split.words where !encoded.isFull {
                try Self.checkInterrupt()
                encodePiece(word, of: split.text, into: encoded)
            }
            return moveToOrigins(encoded, from: first, of: split.text)
        }
        moveToOrigins(encoded, from: first, of: text)
    }

    /// Moves the offsets of tokens in a text that was rewritten to what it was written from.
    private func moveToOrigins(_ encoded: EncodedText, from first: Int, of text: AlignedView) {
        guard text.origins != nil else { return }
        encoded.moveOffsets(from: first) { token in
            guard !token.isEmpty else { return token }
            let origin = text.origin(token)
            return Int(origin.lowerBound)..<Int(origin.upperBound)
        }
    }

    @inline(__always)
    private func scan(
        _ scanner: some WordScanner, _ text: AlignedView, into encoded: EncodedText
    ) throws(PatternError) {
        let scanned = ScannedText(text.start)
        let (start, end) = (text.start, text.range.upperBound)
        var writer = encoded.writer()
        var word = text.range.lowerBound
        while word < end && !writer.isFull {
            let blockEnd = min(end, word &+ 1 << 20)
            while word < blockEnd && !writer.isFull {
                let next = scanner.endOfWord(at: word, in: scanned, upTo: end)
                let count = next &- word
                if count > WordCache.shortLimit || !writeKnown(start + word, count, at: word, to: &writer) {
                    encoded.take(writer)
                    encodeWord(start, word, next, into: encoded)
                    writer = encoded.writer()
                }
                word = next
            }
            try Self.checkInterrupt()
        }
        encoded.take(writer)
    }

    /// Writes the tokens of a short word, if they are in its entry of the cache.
    @inline(__always)
    private func writeKnown(
        _ word: UnsafePointer<UInt8>, _ count: Int, at position: Int, to writer: inout EncodedText.Writer
    ) -> Bool {
        guard let entry = cache.find(WordCache.shortKey(word, count)) else { return false }
        return writer.append(entry, at: position)
    }

    /// Encodes a piece that no pre-tokenizer splits further, in parts if the model allows it.
    private func encodePiece(_ piece: Range<Int>, of text: AlignedView, into encoded: EncodedText) {
        guard let boundary = tokenizer.model.wordBoundary else {
            return encodeWord(text.start, piece.lowerBound, piece.upperBound, into: encoded)
        }
        boundary.forEachPart(piece, of: text.start) { part in
            guard !encoded.isFull, !Interrupt.isRequested else { return }
            encodeWord(text.start, part.lowerBound, part.upperBound, into: encoded)
        }
    }

    /// Encodes a word, whose last byte 15 readable ones follow.
    private func encodeWord(_ start: UnsafePointer<UInt8>, _ word: Int, _ end: Int, into encoded: EncodedText) {
        let count = end &- word
        guard count <= WordCache.shortLimit else {
            encodeLongWord(UnsafeBufferPointer(start: start + word, count: count), at: word, into: encoded)
            return
        }
        let key = WordCache.shortKey(start + word, count)
        guard let entry = cache.find(key) else {
            let bytes = UnsafeBufferPointer(start: start + word, count: count)
            if encodeNew(bytes, at: word, into: encoded) {
                cache.insert(key, words.tokens, lengths: lengths, longWord: nil)
            }
            return
        }
        if entry.pointee.count > 3 { return appendAside(entry, at: word, to: encoded) }
        encoded.reserve(3)
        var writer = encoded.writer()
        _ = writer.append(entry, at: word)
        encoded.take(writer)
    }

    private func encodeLongWord(_ word: UnsafeBufferPointer<UInt8>, at position: Int, into encoded: EncodedText) {
        guard let start = word.baseAddress, word.count <= WordCache.longLimit else {
            _ = encodeNew(word, at: position, into: encoded)
            return
        }
        let key = WordCache.longKey(start, word.count)
        if let entry = cache.find(key, word) {
            appendAside(entry, at: position, to: encoded)
        } else if encodeNew(word, at: position, into: encoded) {
            cache.insert(key, words.tokens, lengths: lengths, longWord: word)
        }
    }

    /// Encodes a word by the model and appends its tokens, which are then in `words`.
    ///
    /// - Returns: Whether the tokens follow each other by their own lengths, as the cache takes them to.
    private func encodeNew(_ word: UnsafeBufferPointer<UInt8>, at position: Int, into encoded: EncodedText) -> Bool {
        words.encode(word)
        guard let ranges = words.ranges else {
            append(words.tokens, at: position, to: encoded)
            return true
        }
        let wanted = min(ranges.count, encoded.room)
        encoded.reserve(wanted)
        for (id, range) in zip(words.tokens, ranges).prefix(wanted) {
            encoded.append(id, position + Int(range.lowerBound), position + Int(range.upperBound))
        }
        return false
    }

    /// Appends a token for which there is room.
    /// - Returns: Where its bytes end.
    @inline(__always)
    private func append(_ id: Int32, at start: Int, to encoded: EncodedText) -> Int {
        let end = start &+ Int(lengths[Int(id)])
        encoded.append(id, start, end)
        return end
    }

    private func append(_ tokens: [Int32], at start: Int, to encoded: EncodedText) {
        let wanted = min(tokens.count, encoded.room)
        encoded.reserve(wanted)
        var position = start
        for id in tokens.prefix(wanted) { position = append(id, at: position, to: encoded) }
    }

    private func appendAside(_ entry: UnsafePointer<WordCache.Entry>, at start: Int, to encoded: EncodedText) {
        var position = start
        encoded.reserve(Int(entry.pointee.count))
        for i in 0..<Int(entry.pointee.count) {
            position = append(cache.sideToken(entry, i), at: position, to: encoded)
        }
    }
}

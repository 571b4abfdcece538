import Shared

/// Encodes texts: one worker's scratch and cache for a `Tokenizer`.
///
/// The ids are those of Hugging Face's `tokenizers` without special tokens added (`add_special_tokens=False`).
final class TokenEncoder {
    private let tokenizer: Tokenizer
    private let lengths: UnsafePointer<Int32>
    private let hasGaps: Bool
    private let ignoresMerges: Bool
    private let merger: WordMerger
    private let cache = WordCache()
    private let matcher = Matcher()
    private let text = PaddedText()
    private let normalized = PaddedText()
    private let prefixed = PaddedText()
    private let composition = CanonicalComposition()
    private var pieces: [Range<Int>] = []
    private var split: [Range<Int>] = []

    init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        hasGaps = tokenizer.model.hasGaps
        ignoresMerges = tokenizer.model.ignoresMerges
        merger = WordMerger(tokenizer.model)
        lengths = tokenizer.lengths.start
    }

    /// Leaves the text's tokens in `encoded`, instead of what was there.
    ///
    /// - Parameter text: UTF-8.
    /// - Throws: `PatternError` where the engine of patterns gives up, as over backtracking without end.
    func encode(_ text: UnsafeBufferPointer<UInt8>, into encoded: EncodedText) throws(PatternError) {
        encoded.removeAll()
        self.text.removeAll()
        guard let start = text.baseAddress, !text.isEmpty else { return }
        self.text.append(start, count: text.count)
        let copy = UnsafeBufferPointer(start: self.text.start, count: text.count)
        var done = 0
        var position = 0
        while let match = tokenizer.addedTokens.next(in: copy, from: position, taken: done, next: &position) {
            try encodePlain(done..<match.start, into: encoded)
            encoded.reserve(1)
            encoded.append(match.id, match.start, match.end)
            done = match.end
        }
        try encodePlain(done..<text.count, into: encoded)
    }

    /// Encodes a piece of the text between added tokens.
    private func encodePlain(_ range: Range<Int>, into encoded: EncodedText) throws(PatternError) {
        guard !range.isEmpty else { return }
        let start = UnsafePointer(text.start)
        let piece = UnsafeBufferPointer(start: start + range.lowerBound, count: range.count)
        guard !tokenizer.normalizers.isEmpty, composition.compose(piece) else {
            try encodeNormalized(start, range, into: encoded)
            return
        }
        let first = encoded.count
        normalized.removeAll()
        composition.bytes.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { normalized.append(start, count: bytes.count) }
        }
        try encodeNormalized(UnsafePointer(normalized.start), 0..<normalized.count, into: encoded)
        let origins = composition.origins
        let offset = range.lowerBound
        encoded.moveOffsets(from: first) { tokens in
            guard !tokens.isEmpty else { return offset..<offset }
            let lower = Int(origins[tokens.lowerBound].lowerBound)
            return offset + lower..<offset + Int(origins[tokens.upperBound - 1].upperBound)
        }
    }

    /// Encodes a piece of normalized text, in which other added tokens are looked for.
    private func encodeNormalized(
        _ start: UnsafePointer<UInt8>, _ range: Range<Int>, into encoded: EncodedText
    ) throws(PatternError) {
        let finder = tokenizer.normalizedAddedTokens
        guard !finder.isEmpty else { return try encodeWords(start, range, into: encoded) }
        let offset = range.lowerBound
        let piece = UnsafeBufferPointer(start: start + offset, count: range.count)
        var done = 0
        var position = 0
        while let match = finder.next(in: piece, from: position, taken: done, next: &position) {
            if done < match.start { try encodeWords(start, offset + done..<offset + match.start, into: encoded) }
            encoded.reserve(1)
            encoded.append(match.id, offset + match.start, offset + match.end)
            done = match.end
        }
        if done < piece.count { try encodeWords(start, offset + done..<range.upperBound, into: encoded) }
    }

    private func encodeWords(
        _ start: UnsafePointer<UInt8>, _ range: Range<Int>, into encoded: EncodedText
    ) throws(PatternError) {
        switch tokenizer.splitter.method {
        case .gpt2(let scanner): scan(scanner, start, range, into: encoded)
        case .cl100k(let scanner): scan(scanner, start, range, into: encoded)
        case .o200k(let scanner): scan(scanner, start, range, into: encoded)
        case .steps(let steps): try split(steps, start, range, into: encoded)
        }
    }

    @inline(__always)
    private func scan(
        _ scanner: some WordScanner, _ start: UnsafePointer<UInt8>, _ range: Range<Int>, into encoded: EncodedText
    ) {
        let scanned = ScannedText(start)
        var word = range.lowerBound
        while word < range.upperBound {
            let end = scanner.endOfWord(at: word, in: scanned, upTo: range.upperBound)
            encodeWord(start, word, end, into: encoded)
            word = end
        }
    }

    /// Splits step by step; the last step is ByteLevel.
    private func split(
        _ steps: [PreTokenizer], _ start: UnsafePointer<UInt8>, _ range: Range<Int>, into encoded: EncodedText
    ) throws(PatternError) {
        pieces.removeAll(keepingCapacity: true)
        pieces.append(range)
        for step in steps {
            split.removeAll(keepingCapacity: true)
            switch step {
            case .digits(let individual):
                for piece in pieces { splitDigits(individual, start, piece, into: &split) }
            case .split(let rule):
                for piece in pieces { try rule.split(piece, of: start, with: matcher, into: &split) }
            case .byteLevel(let byteLevel):
                for piece in pieces { encodeBytes(byteLevel, start, piece, into: encoded) }
                return
            }
            swap(&pieces, &split)
        }
    }

    private func splitDigits(
        _ individual: Bool, _ start: UnsafePointer<UInt8>, _ range: Range<Int>, into pieces: inout [Range<Int>]
    ) {
        let scanned = ScannedText(start)
        var merger = PieceMerger(behavior: individual ? .isolated : .contiguous, first: pieces.count)
        var plain = range.lowerBound
        var i = range.lowerBound
        while i < range.upperBound {
            let (found, length) = scanned.scalar(at: i)
            let end = min(i + length, range.upperBound)
            if found.contains(.number) {
                if plain < i { merger.add(plain..<i, isMatch: false, to: &pieces) }
                merger.add(i..<end, isMatch: true, to: &pieces)
                plain = end
            }
            i = end
        }
        if plain < range.upperBound { merger.add(plain..<range.upperBound, isMatch: false, to: &pieces) }
    }

    /// Encodes a piece as ByteLevel hands it on: with a space before it and split by GPT-2's pattern, if it says so.
    private func encodeBytes(
        _ byteLevel: PreTokenizer.ByteLevel, _ start: UnsafePointer<UInt8>, _ range: Range<Int>,
        into encoded: EncodedText
    ) {
        let scanner = GPT2Scanner(digits: .none)
        guard byteLevel.addsPrefixSpace, start[range.lowerBound] != UInt8(ascii: " ") else {
            if byteLevel.usesPattern {
                scan(scanner, start, range, into: encoded)
            } else {
                encodeWord(start, range.lowerBound, range.upperBound, into: encoded)
            }
            return
        }
        let first = encoded.count
        prefixed.removeAll()
        var space = UInt8(ascii: " ")
        prefixed.append(&space, count: 1)
        prefixed.append(start + range.lowerBound, count: range.count)
        let copy = UnsafePointer(prefixed.start)
        if byteLevel.usesPattern {
            scan(scanner, copy, 0..<prefixed.count, into: encoded)
        } else {
            encodeWord(copy, 0, prefixed.count, into: encoded)
        }
        // The space is no byte of the text.
        let offset = range.lowerBound
        encoded.moveOffsets(from: first) { offset + max(0, $0.lowerBound - 1)..<offset + max(0, $0.upperBound - 1) }
    }

    /// Encodes a word, whose last byte 15 readable ones follow.
    @inline(__always)
    private func encodeWord(_ start: UnsafePointer<UInt8>, _ word: Int, _ end: Int, into encoded: EncodedText) {
        let count = end &- word
        guard count <= WordCache.shortLimit else {
            encodeLongWord(UnsafeBufferPointer(start: start + word, count: count), at: word, into: encoded)
            return
        }
        let key = WordCache.shortKey(start + word, count)
        guard let entry = cache.find(key) else {
            let bytes = UnsafeBufferPointer(start: start + word, count: count)
            if merge(bytes, at: word, into: encoded) { cache.insert(key, merger.tokens, longWord: nil) }
            return
        }
        let found = entry.pointee.count
        encoded.reserve(Int(found))
        guard found <= 3 else { return appendAside(entry, at: word, to: encoded) }
        let tokens = entry.pointee.tokens
        var middle = append(tokens.0, at: word, to: encoded)
        guard found > 1 else { return }
        middle = append(tokens.1, at: middle, to: encoded)
        guard found > 2 else { return }
        _ = append(tokens.2, at: middle, to: encoded)
    }

    private func encodeLongWord(_ word: UnsafeBufferPointer<UInt8>, at position: Int, into encoded: EncodedText) {
        guard let start = word.baseAddress, word.count <= WordCache.longLimit else {
            _ = merge(word, at: position, into: encoded)
            return
        }
        let key = WordCache.longKey(start, word.count)
        if let entry = cache.find(key, word) {
            encoded.reserve(Int(entry.pointee.count))
            appendAside(entry, at: position, to: encoded)
        } else if merge(word, at: position, into: encoded) {
            cache.insert(key, merger.tokens, longWord: word)
        }
    }

    /// Merges a word and appends its tokens, which are then in `merger`.
    /// - Returns: Whether the tokens' bytes are the word's: not so of a word that has bytes without a token.
    private func merge(_ word: UnsafeBufferPointer<UInt8>, at position: Int, into encoded: EncodedText) -> Bool {
        if hasGaps, word.contains(where: { tokenizer.model.byteTokens[Int($0)] < 0 }) {
            mergeWithGaps(word, at: position, into: encoded)
            return false
        }
        if ignoresMerges, let id = tokenizer.model.vocabulary.id(of: word) {
            merger.set(id)
        } else {
            merger.merge(word)
        }
        append(merger.tokens, at: position, to: encoded)
        return true
    }

    /// Leaves out the bytes that have no token; a token may reach over them.
    private func mergeWithGaps(_ word: UnsafeBufferPointer<UInt8>, at position: Int, into encoded: EncodedText) {
        let kept = word.indices.filter { tokenizer.model.byteTokens[Int(word[$0])] >= 0 }
        kept.map { word[$0] }.withUnsafeBufferPointer { merger.merge($0) }
        let first = encoded.count
        append(merger.tokens, at: 0, to: encoded)
        encoded.moveOffsets(from: first) { position + kept[$0.lowerBound]..<position + kept[$0.upperBound - 1] + 1 }
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
        encoded.reserve(tokens.count)
        var position = start
        for id in tokens { position = append(id, at: position, to: encoded) }
    }

    private func appendAside(_ entry: UnsafePointer<WordCache.Entry>, at start: Int, to encoded: EncodedText) {
        var position = start
        for i in 0..<Int(entry.pointee.count) {
            position = append(cache.sideToken(entry, i), at: position, to: encoded)
        }
    }
}

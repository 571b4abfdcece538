import Shared

/// SentencePiece's way with spaces, the pre-tokenizer `Metaspace`: each becomes a character that words begin with.
struct Metaspace: Sendable {
    /// When a piece that doesn't begin with the character gets one: `prepend_scheme`.
    enum PrependScheme: String, CaseIterable, Sendable {
        case always, first, never
    }

    /// The character for a space, `▁`.
    let replacement: [UInt8]
    let prependScheme: PrependScheme
    /// Whether a word begins at each such character.
    let splits: Bool

    /// Reads the pre-tokenizer or the decoder `Metaspace`.
    init(_ node: JSONNode) throws(JSONError) {
        let text = try node.string("replacement")
        guard text.unicodeScalars.count == 1 else {
            throw try node.required("replacement").error("is '\(text)', should be one character")
        }
        replacement = Array(text.utf8)
        splits = try node.bool("split", default: true)
        let name = try node.string("prepend_scheme", default: "always")
        guard let scheme = PrependScheme(rawValue: name) else {
            throw try node.unsupported(
                "prepend_scheme", "'\(name)'",
                supported: PrependScheme.allCases.map(\.rawValue).joined(separator: ", "))
        }
        if try !node.bool("add_prefix_space", default: true), scheme != .never {
            throw try node.required("add_prefix_space").error("is false, but prepend_scheme is '\(name)'")
        }
        prependScheme = scheme
    }

    /// A tokenizer.json's way with SentencePiece's spaces, as transformers' `LlamaConverter` writes it.
    ///
    /// - Parameters:
    ///   - addsPrefix: Whether text that doesn't begin with a space gets one.
    ///   - isLegacy: Whether it gets one in any case, and after each special token too.
    static func json(
        addsPrefix: Bool, isLegacy: Bool
    ) -> (normalizer: JSONText, preTokenizer: JSONText, decoder: JSONText) {
        func sequence(_ key: String, _ steps: [JSONText]) -> JSONText {
            .object([("type", .string("Sequence")), (key, .array(steps))])
        }
        func replacement(_ text: String, by content: String) -> JSONText {
            .object([
                ("type", .string("Replace")), ("pattern", .object([("String", .string(text))])),
                ("content", .string(content)),
            ])
        }
        let prefix = JSONText.object([("type", .string("Prepend")), ("prepend", .string("▁"))])
        let strip = JSONText.object([
            ("type", .string("Strip")), ("content", .string(" ")), ("start", .int(1)), ("stop", .int(0)),
        ])
        let bytes = ["ByteFallback", "Fuse"].map { JSONText.object([("type", .string($0))]) }
        let decoder = sequence("decoders", [replacement("▁", by: " ")] + bytes + (addsPrefix ? [strip] : []))
        guard !isLegacy else {
            return (
                sequence("normalizers", (addsPrefix ? [prefix] : []) + [replacement(" ", by: "▁")]), .null, decoder
            )
        }
        let scheme: PrependScheme = addsPrefix ? .first : .never
        let metaspace = JSONText.object([
            ("type", .string("Metaspace")), ("replacement", .string("▁")),
            ("prepend_scheme", .string(scheme.rawValue)), ("split", .bool(false)),
        ])
        return (.null, metaspace, decoder)
    }

    /// Writes pieces with spaces replaced, and splits them.
    func rewrite(_ text: AlignedView, _ pieces: [Range<Int>], into result: AlignedText) -> [Range<Int>] {
        var written: [Range<Int>] = []
        for piece in pieces {
            var start = result.count
            if isPrepended(text.part(piece)) { result.append(replacement, origin: text.origin(piece.lowerBound)) }
            var done = piece.lowerBound
            for i in piece {
                let isSpace = text.start[i] == UInt8(ascii: " ")
                guard isSpace || splits && isReplacement(at: i, in: text, upTo: piece.upperBound) else { continue }
                result.append(text, done..<i)
                done = i
                if splits, i > piece.lowerBound {
                    written.append(start..<result.count)
                    start = result.count
                }
                guard isSpace else { continue }
                result.append(replacement, origin: text.origin(i))
                done = i + 1
            }
            result.append(text, done..<piece.upperBound)
            written.append(start..<result.count)
        }
        return written
    }

    private func isPrepended(_ piece: AlignedView) -> Bool {
        let first = piece.range.lowerBound
        guard prependScheme == .always || prependScheme == .first && piece.origin(first).lowerBound == 0 else {
            return false
        }
        return piece.start[first] != UInt8(ascii: " ")
            && !isReplacement(at: first, in: piece, upTo: piece.range.upperBound)
    }

    private func isReplacement(at i: Int, in text: AlignedView, upTo end: Int) -> Bool {
        guard text.start[i] == replacement[0], i + replacement.count <= end else { return false }
        return UnsafeBufferPointer(start: text.start + i, count: replacement.count).elementsEqual(replacement)
    }
}

/// Where BPE never merges across: before most `▁` of a SentencePiece vocabulary.
///
/// Such vocabularies come without a pre-tokenizer, so that a whole text is one word. If no token has `▁` after a byte,
/// no merge joins the two, and what stands before and after is encoded by itself with the same result, which a cache
/// can then remember.
struct MetaspaceBoundary: Sendable {
    /// Whether some token has `▁` after this byte.
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

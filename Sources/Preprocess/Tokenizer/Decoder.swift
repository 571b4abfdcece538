import Shared

/// How tokens become text again: `decoder` of tokenizer.json.
struct Decoder: Sendable {
    enum Step: Sendable {
        /// Characters of GPT-2's alphabet become bytes. Other tokens, added ones among them, are text as they are.
        case byteLevel
        /// `<0x41>` becomes a byte.
        case byteFallback
        case fuse
        case metaspace(Metaspace)
        case replace(TextReplacement)
        /// Takes up to `start` and `stop` of a character from the beginning and the end of each token.
        case strip(character: [UInt8], start: Int, stop: Int)
        /// The suffix becomes a space, and nothing at the end.
        case bpe(suffix: [UInt8])
    }

    static let supported = [
        "ByteLevel", "ByteFallback", "Fuse", "Metaspace", "Replace", "Strip", "BPEDecoder", "Sequence",
    ]

    private let steps: [Step]
    /// Without a decoder, there are spaces between tokens.
    private let separator: [UInt8]

    /// - Parameters:
    ///   - node: `decoder`, if there is one; a byte-level vocabulary needs it.
    ///   - isByteLevel: Whether the vocabulary is written in GPT-2's alphabet.
    init(_ node: JSONNode?, isByteLevel: Bool) throws(JSONError) {
        steps = try node.map { node throws(JSONError) in try Self.load(node) } ?? []
        separator = node == nil ? [UInt8(ascii: " ")] : []
        guard isByteLevel, let node else { return }
        guard case .byteLevel? = steps.first else {
            throw node.error("doesn't begin with ByteLevel, as the pre-tokenizer ByteLevel needs")
        }
    }

    private static func load(_ node: JSONNode) throws(JSONError) -> [Step] {
        switch try node.string("type") {
        case "ByteLevel": return [.byteLevel]
        case "ByteFallback": return [.byteFallback]
        case "Fuse": return [.fuse]
        case "Metaspace": return [.metaspace(try Metaspace(node))]
        case "Replace": return [.replace(try TextReplacement(node))]
        case "BPEDecoder": return [.bpe(suffix: Array(try node.string("suffix", default: "</w>").utf8))]
        case "Strip":
            return [
                .strip(
                    character: Array(try node.string("content").utf8), start: try node.int("start"),
                    stop: try node.int("stop"))
            ]
        case "Sequence":
            var steps: [Step] = []
            for step in try node.required("decoders").elements { steps += try load(step) }
            return try node.bounded(steps)
        default: throw try node.unsupportedType(supported: supported)
        }
    }

    /// Whether a token's bytes don't depend on its neighbours: they are then `bytes(of:)`.
    var isBytewise: Bool {
        if case .byteLevel? = steps.first, steps.count == 1 { return true }
        return false
    }

    /// The bytes that a token's text stands for, where the decoder is bytewise.
    func bytes(of content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        return content.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &bytes) } ? bytes : content
    }

    /// The text of tokens.
    func decode(_ tokens: [[UInt8]]) throws(PatternError) -> [UInt8] {
        var tokens = tokens
        let scratch = (matcher: Matcher(), source: PaddedText(), result: AlignedText())
        for step in steps {
            switch step {
            case .byteLevel: tokens = [Self.repaired(tokens.flatMap(bytes))]
            case .byteFallback: tokens = Self.joinBytes(tokens)
            case .fuse: tokens = [Array(tokens.joined())]
            case .metaspace(let metaspace):
                for i in tokens.indices {
                    let drops = i == 0 && metaspace.prependScheme != .never
                    tokens[i] = Self.replace(metaspace.replacement, in: tokens[i], drops ? [] : [UInt8(ascii: " ")])
                }
            case .replace(let replacement):
                for i in tokens.indices { tokens[i] = try Self.apply(replacement, to: tokens[i], scratch) }
            case .strip(let character, let start, let stop):
                tokens = tokens.map { Self.strip(character, $0, start: start, stop: stop) }
            case .bpe(let suffix):
                for i in tokens.indices {
                    let isLast = i == tokens.count - 1
                    tokens[i] = Self.replace(suffix, in: tokens[i], isLast ? [] : [UInt8(ascii: " ")])
                }
            }
        }
        return Array(tokens.joined(separator: separator))
    }
}

extension Decoder {
    /// Bytes as text, U+FFFD where they aren't UTF-8.
    private static func repaired(_ bytes: [UInt8]) -> [UInt8] { Array(String(decoding: bytes, as: UTF8.self).utf8) }

    /// Joins runs of byte tokens; where a run isn't UTF-8, each of its bytes is U+FFFD.
    private static func joinBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
        var joined: [[UInt8]] = []
        var run: [UInt8] = []
        func flush() {
            guard !run.isEmpty else { return }
            let isText = String(validating: run, as: UTF8.self) != nil
            joined.append(isText ? run : Array(repeatElement(Array("\u{FFFD}".utf8), count: run.count).joined()))
            run = []
        }
        for token in tokens {
            if let byte = byte(of: token) {
                run.append(byte)
            } else {
                flush()
                joined.append(token)
            }
        }
        flush()
        return joined
    }

    /// The byte that `<0x41>` stands for.
    private static func byte(of token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }

    private static func replace(_ wanted: [UInt8], in token: [UInt8], _ content: [UInt8]) -> [UInt8] {
        guard let first = wanted.first, token.contains(first) else { return token }
        var replaced: [UInt8] = []
        var rest = token[...]
        while let byte = rest.first {
            if rest.starts(with: wanted) {
                replaced += content
                rest = rest.dropFirst(wanted.count)
            } else {
                replaced.append(byte)
                rest = rest.dropFirst()
            }
        }
        return replaced
    }

    private static func apply(
        _ replacement: TextReplacement, to token: [UInt8],
        _ scratch: (matcher: Matcher, source: PaddedText, result: AlignedText)
    ) throws(PatternError) -> [UInt8] {
        scratch.source.removeAll()
        scratch.result.removeAll(limit: 64 * token.count + (1 << 16))
        token.withUnsafeBufferPointer { token in
            if let start = token.baseAddress { scratch.source.append(start, count: token.count) }
        }
        let text = AlignedView(start: UnsafePointer(scratch.source.start), range: 0..<token.count, origins: nil)
        guard try replacement.rewrite(text, into: scratch.result, with: scratch.matcher) else { return token }
        try scratch.result.checkLimit()
        return Array(scratch.result.view.bytes)
    }

    private static func strip(_ character: [UInt8], _ token: [UInt8], start: Int, stop: Int) -> [UInt8] {
        guard !character.isEmpty else { return token }
        var rest = token[...]
        for _ in 0..<min(max(0, start), token.count) where rest.starts(with: character) {
            rest = rest.dropFirst(character.count)
        }
        for _ in 0..<min(max(0, stop), token.count) where rest.suffix(character.count).elementsEqual(character) {
            rest = rest.dropLast(character.count)
        }
        return Array(rest)
    }
}

import Shared

/// `pattern` of tokenizer.json: a text that is searched for literally, or a regular expression.
enum TextPattern: Sendable {
    case literal([UInt8])
    case regularExpression(Pattern, source: String)
    /// `\s+$`, as DeepSeek Coder has it, for which an engine looks through a run of spaces from each of them.
    case spacesAtLineEnd

    /// Reads the key `pattern`.
    init(_ node: JSONNode) throws(JSONError) {
        let pattern = try node.required("pattern")
        guard let regex = pattern["Regex"] else {
            let text = Array(try pattern.string("String").utf8)
            guard (1...Vocabulary.longestSearched).contains(text.count) else {
                throw pattern.error("has \(text.count) bytes, should be 1 to \(Vocabulary.longestSearched)")
            }
            self = .literal(text)
            return
        }
        let source = try regex.asString()
        if source == #"\s+$"# {
            self = .spacesAtLineEnd
            return
        }
        do throws(PatternError) {
            self = .regularExpression(try Pattern(oniguruma: source), source: source)
        } catch {
            throw pattern.error("\(error), which is not supported")
        }
    }

    /// The first match in `text` at or after `start`.
    /// - Throws: `PatternError` where the engine gives up.
    func firstMatch(
        in text: UnsafeBufferPointer<UInt8>, from start: Int, with matcher: Matcher
    ) throws(PatternError) -> Range<Int>? {
        switch self {
        case .literal(let wanted): Self.find(wanted, in: text, from: start)
        case .regularExpression(let pattern, _): try matcher.firstMatch(of: pattern, in: text, from: start)
        case .spacesAtLineEnd: Self.spacesAtLineEnd(in: text, from: start)
        }
    }

    /// The first run of spaces with a line's end after its first one, up to the last such end: of the text, or before a
    /// line feed, which is a space itself.
    static func spacesAtLineEnd(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Range<Int>? {
        var (run, end): (start: Int?, end: Int?)
        var i = start
        while let scalar = text.scalar(at: i) {
            if ScalarClasses.shared[scalar.value].contains(.space) {
                if run == nil { run = i } else if scalar == "\n" { end = i }
            } else {
                if let run, let end { return run..<end }
                run = nil
            }
            i += scalar.utf8.count
        }
        return run.map { $0..<i }
    }

    private static func find(_ wanted: [UInt8], in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Range<Int>? {
        let last = text.count - wanted.count
        let first = wanted[0]
        var i = start
        while i <= last {
            if text[i] == first, text[i..<i + wanted.count].elementsEqual(wanted) { return i..<i + wanted.count }
            i += 1
        }
        return nil
    }
}

/// A replacement of all that a pattern matches: of the normalizer and of the decoder `Replace`.
struct TextReplacement: Sendable {
    let pattern: TextPattern
    let content: [UInt8]

    init(_ node: JSONNode) throws(JSONError) {
        pattern = try TextPattern(node)
        content = Array(try node.string("content").utf8)
        if case .regularExpression(let compiled, _) = pattern, compiled.canMatchNothing {
            throw try node.required("pattern").error("can match nothing, which is not supported")
        }
    }

    /// Writes `text` with the replacements; they come from all of what they replace.
    ///
    /// - Returns: false where nothing matches; nothing is written then.
    func rewrite(_ text: AlignedView, into result: AlignedText, with matcher: Matcher) throws(PatternError) -> Bool {
        let (bytes, offset) = (text.bytes, text.range.lowerBound)
        var done = 0
        while let match = try pattern.firstMatch(in: bytes, from: done, with: matcher), !match.isEmpty {
            try TokenEncoder.checkInterrupt()
            result.append(text, offset + done..<offset + match.lowerBound)
            let replaced = text.origin(offset + match.lowerBound..<offset + match.upperBound)
            result.append(content, origin: replaced)
            done = match.upperBound
        }
        guard done > 0 else { return false }
        result.append(text, offset + done..<text.range.upperBound)
        return true
    }
}

import Shared

/// The whole of splitting, in the fastest form that gives the tokenizer's words.
///
/// A well-known pattern is found by a scanner. Anything else goes step by step, each splitting the pieces of the one
/// before.
struct WordSplitter: Sendable {
    enum Method: Sendable {
        case gpt2(GPT2Scanner)
        case cl100k(CL100KScanner)
        case o200k(O200KScanner)
        case steps([PreTokenizer])
    }

    let method: Method
    /// Whether words are bytes, written in GPT-2's alphabet, and not characters.
    let isByteLevel: Bool

    /// - Parameter node: `pre_tokenizer`; nil leaves the text whole.
    /// - Throws: `JSONError` where ByteLevel isn't the last step.
    init(_ node: JSONNode?) throws(JSONError) {
        guard let node else {
            (isByteLevel, method) = (false, .steps([]))
            return
        }
        let steps = try PreTokenizer.load(node)
        for case .byteLevel in steps.dropLast() {
            throw node.error("has a step after ByteLevel, which is not supported")
        }
        guard case .byteLevel(let byteLevel)? = steps.last else {
            (isByteLevel, method) = (false, .steps(steps))
            return
        }
        isByteLevel = true
        method = Self.scanner(steps.dropLast(), byteLevel) ?? .steps(steps)
    }

    /// The scanner that does all of the steps at once, if there is one.
    private static func scanner(_ before: ArraySlice<PreTokenizer>, _ byteLevel: PreTokenizer.ByteLevel) -> Method? {
        guard before.count <= 1, !byteLevel.addsPrefixSpace else { return nil }
        guard case .split(let rule)? = before.first else {
            return before.isEmpty && byteLevel.usesPattern ? .gpt2(GPT2Scanner(digits: .none)) : nil
        }
        // The patterns match everything, so that keeping the matches and keeping all is the same.
        if let pattern = rule.isolatedExpression {
            if pattern == GPT2Scanner.pattern { return .gpt2(GPT2Scanner(digits: .none)) }
            guard !byteLevel.usesPattern else { return nil }
            if let scanner = CL100KScanner(pattern: pattern) { return .cl100k(scanner) }
            return O200KScanner(pattern: pattern).map(Method.o200k)
        }
        guard byteLevel.usesPattern, case .scalars(.number) = rule.separator else { return nil }
        switch rule.behavior {
        case .isolated: return .gpt2(GPT2Scanner(digits: .individual))
        case .contiguous: return .gpt2(GPT2Scanner(digits: .contiguous))
        default: return nil
        }
    }
}

/// One thread's scratch for splitting step by step.
final class SplitterScratch {
    private var pieces: [Range<Int>] = []
    private var split: [Range<Int>] = []
    private var current = AlignedText()
    private var spare = AlignedText()

    /// The words of a text and the text they are ranges of, which a step may have rewritten; valid until the next call.
    func words(
        of text: AlignedView, _ steps: [PreTokenizer], with matcher: Matcher
    ) throws(PatternError) -> (text: AlignedView, words: [Range<Int>]) {
        let limit = AlignedText.limit(of: text)
        var text = text
        pieces.removeAll(keepingCapacity: true)
        pieces.append(text.range)
        for step in steps {
            switch step {
            case .split(let rule):
                split.removeAll(keepingCapacity: true)
                for piece in pieces { try rule.split(piece, of: text.start, with: matcher, into: &split) }
                swap(&pieces, &split)
            case .metaspace(let metaspace): text = try rewrite(limit) { metaspace.rewrite(text, pieces, into: $0) }
            case .byteLevel(let byteLevel):
                if byteLevel.addsPrefixSpace {
                    text = try rewrite(limit) { byteLevel.rewrite(text, pieces, into: $0) }
                }
                if byteLevel.usesPattern { splitByGPT2(text) }
            }
        }
        return (text, pieces)
    }

    private func rewrite(
        _ limit: Int, _ body: (AlignedText) -> [Range<Int>]
    ) throws(PatternError) -> AlignedView {
        spare.removeAll(limit: limit)
        pieces = body(spare)
        try spare.checkLimit()
        swap(&current, &spare)
        return current.view
    }

    private func splitByGPT2(_ text: AlignedView) {
        let scanner = GPT2Scanner(digits: .none)
        let scanned = ScannedText(text.start)
        split.removeAll(keepingCapacity: true)
        for piece in pieces {
            var word = piece.lowerBound
            while word < piece.upperBound {
                let end = scanner.endOfWord(at: word, in: scanned, upTo: piece.upperBound)
                split.append(word..<end)
                word = end
            }
        }
        swap(&pieces, &split)
    }
}

/// Splits a template's source into tokens, as Jinja does with `trim_blocks` and `lstrip_blocks`.
///
/// So the first line end after a block tag or a comment is left out, and the space before one that is the first on its
/// line; a `-` at either end of a tag takes all space on that side away, and a `+` keeps it. One line end at the very
/// end of the source is left out too.
struct Lexer {
    private let source: [UInt8]
    private var position = 0
    private var tokens: [Token] = []
    /// Whether what comes next begins a line.
    private var isAtLineStart = true
    /// Open brackets of the tag that is read.
    private var brackets: [(closing: Token.Symbol, position: Int)] = []

    /// The source with each line end as `\n`, to which positions refer.
    static func normalized(_ source: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count)
        var previous: UInt8 = 0
        for byte in source {
            if byte == UInt8(ascii: "\r") {
                bytes.append(UInt8(ascii: "\n"))
            } else if byte != UInt8(ascii: "\n") || previous != UInt8(ascii: "\r") {
                bytes.append(byte)
            }
            previous = byte
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return bytes
    }

    init(normalized source: [UInt8]) { self.source = source }

    /// - Throws: `Failure` with the position of what can't be read.
    mutating func run() throws(Failure) -> [Token] {
        while position < source.count { try root() }
        tokens.append(Token(kind: .end, position: source.count))
        return tokens
    }

    // MARK: - Text and tags

    private enum Tag { case block, variable, comment }

    private mutating func root() throws(Failure) {
        var begin = position
        var tag: Tag?
        while begin + 1 < source.count {
            if source[begin] == UInt8(ascii: "{") {
                switch source[begin + 1] {
                case UInt8(ascii: "%"): tag = .block
                case UInt8(ascii: "{"): tag = .variable
                case UInt8(ascii: "#"): tag = .comment
                default: break
                }
                if tag != nil { break }
            }
            begin += 1
        }
        guard let tag else {
            data(position..<source.count)
            position = source.count
            return
        }
        let sign = begin + 2 < source.count ? source[begin + 2] : 0
        data(position..<begin, sign: sign, isVariable: tag == .variable)
        position = begin + 2 + (sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") ? 1 : 0)
        switch tag {
        case .comment: try comment(from: begin)
        case .block where skipWord("raw", at: position) != nil: try raw(from: begin)
        case .block:
            tokens.append(Token(kind: .blockBegin, position: begin))
            try code(end: UInt8(ascii: "%"), from: begin)
        case .variable:
            tokens.append(Token(kind: .variableBegin, position: begin))
            try code(end: UInt8(ascii: "}"), from: begin)
        }
    }

    /// Appends text that a tag follows, without the space that the tag takes away.
    private mutating func data(_ range: Range<Int>, sign: UInt8 = 0, isVariable: Bool = true) {
        var text = Text(Array(source[range]))
        if sign == UInt8(ascii: "-") {
            text = Text(Array(text.utf8[text.stripped(start: false)]))
        } else if sign != UInt8(ascii: "+"), !isVariable {
            let line = text.utf8.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            let rest = Text(Array(text.utf8[line...]))
            if line > 0 || isAtLineStart, rest.stripped().isEmpty { text = Text(Array(text.utf8[..<line])) }
        }
        if !text.isEmpty { tokens.append(Token(kind: .data(text), position: range.lowerBound)) }
    }

    private mutating func comment(from begin: Int) throws(Failure) {
        guard let end = Text(source).find("#}", from: position) else {
            throw .syntax("the comment isn't closed by '#}'", at: begin)
        }
        let sign = end > position ? source[end - 1] : 0
        position = end + 2
        endTag(sign: sign, trimsLine: true)
    }

    /// After a tag's end: leaves out the space that it takes away.
    private mutating func endTag(sign: UInt8, trimsLine: Bool) {
        if sign == UInt8(ascii: "-") {
            skipSpace()
        } else if trimsLine, sign != UInt8(ascii: "+"), position < source.count, source[position] == 0x0A {
            position += 1
        }
        isAtLineStart = position > 0 && source[position - 1] == 0x0A
    }

    /// The position after a tag's only word, if it is this one.
    private func skipWord(_ word: Text, at start: Int) -> Int? {
        var at = start
        while at < source.count, isSpace(Unicode.Scalar(source[at])) { at += 1 }
        guard source[at...].starts(with: word.utf8) else { return nil }
        at += word.utf8.count
        while at < source.count, isSpace(Unicode.Scalar(source[at])) { at += 1 }
        if at < source.count, [UInt8(ascii: "-"), UInt8(ascii: "+")].contains(source[at]) { at += 1 }
        return source[at...].starts(with: [UInt8(ascii: "%"), UInt8(ascii: "}")]) ? at + 2 : nil
    }

    private mutating func raw(from begin: Int) throws(Failure) {
        guard let start = skipWord("raw", at: position) else { return }
        position = start
        endTag(sign: source[start - 3], trimsLine: false)
        let contents = position
        var search = contents
        while let open = Text(source).find("{%", from: search) {
            let sign = open + 2 < source.count ? source[open + 2] : 0
            let hasSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
            if let end = skipWord("endraw", at: open + (hasSign ? 3 : 2)) {
                data(contents..<open, sign: sign, isVariable: false)
                position = end
                endTag(sign: source[end - 3], trimsLine: true)
                return
            }
            search = open + 2
        }
        throw .syntax("'raw' isn't closed by 'endraw'", at: begin)
    }

    private mutating func skipSpace() {
        while position < source.count {
            let (scalar, width) = Text.scalar(in: source, at: position)
            guard isSpace(scalar) else { return }
            position += width
        }
    }

    // MARK: - Expressions

    /// Reads a tag's inside up to its end, `%}` or `}}`.
    private mutating func code(end: UInt8, from begin: Int) throws(Failure) {
        brackets = []
        while true {
            skipSpace()
            guard position < source.count else { throw .syntax("the tag isn't closed", at: begin) }
            if brackets.isEmpty, let sign = endSign(end) {
                tokens.append(
                    Token(kind: end == UInt8(ascii: "%") ? .blockEnd : .variableEnd, position: position))
                position += sign == 0 ? 2 : 3
                endTag(sign: sign, trimsLine: end == UInt8(ascii: "%"))
                return
            }
            try token()
        }
    }

    /// The sign of the tag's end that is here: 0 for none; nil if the tag doesn't end here.
    private func endSign(_ end: UInt8) -> UInt8? {
        let rest = source[position...].prefix(3)
        if rest.starts(with: [end, UInt8(ascii: "}")]) { return 0 }
        if rest.elementsEqual([UInt8(ascii: "-"), end, UInt8(ascii: "}")]) { return UInt8(ascii: "-") }
        let keeps = end == UInt8(ascii: "%") && rest.elementsEqual([UInt8(ascii: "+"), end, UInt8(ascii: "}")])
        return keeps ? UInt8(ascii: "+") : nil
    }

    private mutating func token() throws(Failure) {
        let start = position
        let (scalar, _) = Text.scalar(in: source, at: position)
        let kind: Token.Kind
        if scalar == "_" || scalar.properties.isXIDStart {
            kind = .name(name())
        } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(source[position]) {
            kind = try NumberLiteral.read(source, &position)
        } else if scalar == "'" || scalar == "\"" {
            kind = .string(try StringLiteral.read(source, &position))
        } else {
            kind = .symbol(try symbol())
        }
        tokens.append(Token(kind: kind, position: start))
    }

    private mutating func name() -> String {
        let start = position
        while position < source.count {
            let (scalar, width) = Text.scalar(in: source, at: position)
            guard scalar.properties.isXIDContinue else { break }
            position += width
        }
        return String(decoding: source[start..<position], as: UTF8.self)
    }

    private mutating func symbol() throws(Failure) -> Token.Symbol {
        let start = position
        let two = String(decoding: source[start...].prefix(2), as: UTF8.self)
        let one = String(decoding: source[start...].prefix(1), as: UTF8.self)
        guard let symbol = Token.Symbol(rawValue: two) ?? Token.Symbol(rawValue: one) else {
            let (scalar, _) = Text.scalar(in: source, at: start)
            throw .syntax("unexpected character '\(scalar)'", at: start)
        }
        position += symbol.rawValue.utf8.count
        switch symbol {
        case .leftParenthesis: brackets.append((.rightParenthesis, start))
        case .leftBracket: brackets.append((.rightBracket, start))
        case .leftBrace: brackets.append((.rightBrace, start))
        case .rightParenthesis, .rightBracket, .rightBrace:
            guard let open = brackets.popLast() else { throw .syntax("unexpected '\(symbol.rawValue)'", at: start) }
            guard open.closing == symbol else {
                throw .syntax("unexpected '\(symbol.rawValue)', expected '\(open.closing.rawValue)'", at: start)
            }
        default: break
        }
        return symbol
    }
}

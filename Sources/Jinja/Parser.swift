/// Makes statements and expressions of tokens; what a template's tags and expressions look like is in the extensions.
struct Parser {
    private let tokens: [Token]
    private var next = 0
    private var depth = 0
    /// The tags that are open, for errors.
    var openTags: [(name: String, position: Int)] = []
    /// Loops around what is parsed, of the same macro.
    var loops = 0
    private static let deepest = 200
    private static let highest = 500

    init(_ tokens: [Token]) { self.tokens = tokens }

    /// The whole template.
    mutating func template() throws(Failure) -> Block {
        let block = try block(until: [])
        guard current.kind == .end else { throw unexpected() }
        return block
    }

    // MARK: - Tokens

    var current: Token { tokens[next] }
    var following: Token { tokens[min(next + 1, tokens.count - 1)] }

    @discardableResult
    mutating func take() -> Token {
        let token = tokens[next]
        if next < tokens.count - 1 { next += 1 }
        return token
    }

    mutating func skip(_ kind: Token.Kind) -> Bool {
        guard current.kind == kind else { return false }
        take()
        return true
    }

    mutating func skip(_ symbol: Token.Symbol) -> Bool { skip(.symbol(symbol)) }
    mutating func skip(_ name: String) -> Bool { skip(.name(name)) }
    func isAt(_ symbol: Token.Symbol) -> Bool { current.kind == .symbol(symbol) }
    func isAt(_ name: String) -> Bool { current.kind == .name(name) }

    mutating func expect(_ symbol: Token.Symbol) throws(Failure) {
        guard skip(symbol) else { throw unexpected("'\(symbol.rawValue)'") }
    }

    mutating func expect(_ name: String) throws(Failure) {
        guard skip(name) else { throw unexpected("'\(name)'") }
    }

    mutating func expectName() throws(Failure) -> String {
        guard case .name(let name) = current.kind else { throw unexpected("a name") }
        take()
        return name
    }

    mutating func expectBlockEnd() throws(Failure) {
        guard skip(.blockEnd) else { throw unexpected("the tag's end") }
    }

    func unexpected(_ expected: String? = nil) -> Failure {
        var message = "unexpected \(current.shown)"
        if let expected { message = "expected \(expected), got \(current.shown)" }
        if current.kind == .end, let open = openTags.last { message += "; tag '\(open.name)' isn't closed" }
        return .syntax(message, at: current.position)
    }

    // MARK: - Bounds

    /// Parses something within something else, which may go on only so deep.
    mutating func nested<T>(_ parse: (inout Parser) throws(Failure) -> T) throws(Failure) -> T {
        guard depth < Self.deepest else { throw .syntax("is nested deeper than \(Self.deepest)", at: current.position) }
        depth += 1
        defer { depth -= 1 }
        return try parse(&self)
    }

    /// An expression over others, if it isn't too high.
    func bounded<T: Expression>(_ expression: T, over children: [any Expression]) throws(Failure) -> T {
        expression.height = children.reduce(0) { max($0, $1.height) } + 1
        guard expression.height <= Self.highest else {
            throw .syntax("the expression is nested deeper than \(Self.highest)", at: expression.position)
        }
        return expression
    }
}

/// A piece of a template's source.
struct Token {
    enum Kind: Equatable {
        /// Text outside of tags, white space already taken away.
        case data(Text)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(Text)
        case int(Int)
        case float(Double)
        case symbol(Symbol)
        case end
    }

    /// Operators and brackets.
    enum Symbol: String, CaseIterable {
        case power = "**", floorDivide = "//", equal = "==", notEqual = "!=", lessEqual = "<=", greaterEqual = ">="
        case plus = "+", minus = "-", times = "*", divide = "/", modulo = "%", tilde = "~"
        case less = "<", greater = ">", assign = "=", dot = ".", colon = ":", pipe = "|", comma = ",", semicolon = ";"
        case leftParenthesis = "(", rightParenthesis = ")", leftBracket = "[", rightBracket = "]"
        case leftBrace = "{", rightBrace = "}"
    }

    var kind: Kind
    /// The byte of the source at which it begins.
    var position: Int

    /// What an error calls it.
    var shown: String {
        switch kind {
        case .data: "text"
        case .blockBegin: "'{%'"
        case .blockEnd: "the tag's end"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .name(let name): "'\(name)'"
        case .string(let text): "the string '\(text.string)'"
        case .int(let value): "\(value)"
        case .float(let value): "\(value)"
        case .symbol(let symbol): "'\(symbol.rawValue)'"
        case .end: "the template's end"
        }
    }
}

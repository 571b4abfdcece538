/// Expressions, from what binds loosest to what binds tightest, in the order of Jinja's grammar.
extension Parser {
    /// `a, b` or just `a`.
    mutating func tuple(
        withCondition: Bool = true, end: String? = nil, isInParentheses: Bool = false
    ) throws(Failure) -> any Expression {
        let position = current.position
        var elements: [any Expression] = []
        var isTuple = false
        while true {
            if !elements.isEmpty || isTuple || isInParentheses, isTupleEnd(end) { break }
            elements.append(try expression(withCondition: withCondition))
            guard skip(.comma) else { break }
            isTuple = true
        }
        if !isTuple, let only = elements.first { return only }
        return try bounded(SequenceLiteral(elements, isTuple: true, position), over: elements)
    }

    private func isTupleEnd(_ end: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis): true
        case .name(let name): name == end
        default: false
        }
    }

    mutating func expression(withCondition: Bool = true) throws(Failure) -> any Expression {
        try nested { parser throws(Failure) in
            withCondition ? try parser.conditional() : try parser.or()
        }
    }

    private mutating func conditional() throws(Failure) -> any Expression {
        var value = try or()
        while isAt("if") {
            let position = take().position
            let condition = try or()
            let otherwise = skip("else") ? try expression() : nil
            value = try bounded(
                Conditional(condition, then: value, otherwise: otherwise, position),
                over: [condition, value] + [otherwise].compactMap(\.self))
        }
        return value
    }

    private mutating func or() throws(Failure) -> any Expression {
        var left = try and()
        while isAt("or") {
            let position = take().position
            let right = try and()
            left = try bounded(Logical(isAnd: false, left, right, position), over: [left, right])
        }
        return left
    }

    private mutating func and() throws(Failure) -> any Expression {
        var left = try not()
        while isAt("and") {
            let position = take().position
            let right = try not()
            left = try bounded(Logical(isAnd: true, left, right, position), over: [left, right])
        }
        return left
    }

    private mutating func not() throws(Failure) -> any Expression {
        guard isAt("not") else { return try comparison() }
        let position = take().position
        let operand = try nested { parser throws(Failure) in try parser.not() }
        return try bounded(Negation(operand, position), over: [operand])
    }

    private mutating func comparison() throws(Failure) -> any Expression {
        let first = try sum()
        var rest: [(Comparison.Operator, any Expression)] = []
        let position = current.position
        while let comparison = comparisonOperator() { rest.append((comparison, try sum())) }
        guard !rest.isEmpty else { return first }
        return try bounded(Comparison(first, rest, position), over: [first] + rest.map(\.1))
    }

    private mutating func comparisonOperator() -> Comparison.Operator? {
        let comparison: Comparison.Operator
        switch current.kind {
        case .symbol(.equal): comparison = .equal
        case .symbol(.notEqual): comparison = .notEqual
        case .symbol(.less): comparison = .less
        case .symbol(.lessEqual): comparison = .lessEqual
        case .symbol(.greater): comparison = .greater
        case .symbol(.greaterEqual): comparison = .greaterEqual
        case .name("in"): comparison = .isIn
        case .name("not") where following.kind == .name("in"):
            take()
            comparison = .isNotIn
        default: return nil
        }
        take()
        return comparison
    }

    private mutating func sum() throws(Failure) -> any Expression {
        try chain([.plus, .minus]) { parser throws(Failure) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(Failure) -> any Expression {
        var operands = [try product()]
        let position = current.position
        while skip(.tilde) { operands.append(try product()) }
        return operands.count == 1 ? operands[0] : try bounded(Concatenation(operands, position), over: operands)
    }

    private mutating func product() throws(Failure) -> any Expression {
        try chain([.times, .divide, .floorDivide, .modulo]) { parser throws(Failure) in
            try parser.chain([.power]) { parser throws(Failure) in try parser.unary() }
        }
    }

    /// Operands with operators of the same kind between, from the left.
    private mutating func chain(
        _ symbols: [Token.Symbol], _ operand: (inout Parser) throws(Failure) -> any Expression
    ) throws(Failure) -> any Expression {
        var left = try operand(&self)
        while case .symbol(let symbol) = current.kind, symbols.contains(symbol) {
            let position = take().position
            let right = try operand(&self)
            left = try bounded(Operation(symbol, left, right, position), over: [left, right])
        }
        return left
    }

    private mutating func unary(withFilter: Bool = true) throws(Failure) -> any Expression {
        var value: any Expression
        if isAt(.minus) || isAt(.plus) {
            let token = take()
            let operand = try nested { parser throws(Failure) in try parser.unary(withFilter: false) }
            value = try bounded(
                Sign(isMinus: token.kind == .symbol(.minus), operand, token.position), over: [operand])
        } else {
            value = try primary()
        }
        value = try postfix(value)
        return withFilter ? try filtersAndTests(of: value) : value
    }

    private mutating func primary() throws(Failure) -> any Expression {
        let token = current
        switch token.kind {
        case .name(let name):
            take()
            switch name {
            case "true", "True": return Constant(.bool(true), token.position)
            case "false", "False": return Constant(.bool(false), token.position)
            case "none", "None": return Constant(.none, token.position)
            default: return Name(name, token.position)
            }
        case .string(var text):
            take()
            while case .string(let more) = current.kind {
                take()
                text = Text(text.utf8 + more.utf8)
            }
            return Constant(.string(text), token.position)
        case .int(let value):
            take()
            return Constant(.int(value), token.position)
        case .float(let value):
            take()
            return Constant(.float(value), token.position)
        case .symbol(.leftParenthesis):
            take()
            let value = try tuple(isInParentheses: true)
            try expect(.rightParenthesis)
            return value
        case .symbol(.leftBracket): return try list()
        case .symbol(.leftBrace): return try mapping()
        default: throw unexpected("an expression")
        }
    }

    private mutating func list() throws(Failure) -> any Expression {
        let position = take().position
        var elements: [any Expression] = []
        while !isAt(.rightBracket) {
            if !elements.isEmpty { try expect(.comma) }
            if isAt(.rightBracket) { break }
            elements.append(try expression())
        }
        try expect(.rightBracket)
        return try bounded(SequenceLiteral(elements, isTuple: false, position), over: elements)
    }

    private mutating func mapping() throws(Failure) -> any Expression {
        let position = take().position
        var members: [(any Expression, any Expression)] = []
        while !isAt(.rightBrace) {
            if !members.isEmpty { try expect(.comma) }
            if isAt(.rightBrace) { break }
            let key = try expression()
            try expect(.colon)
            members.append((key, try expression()))
        }
        try expect(.rightBrace)
        return try bounded(MappingLiteral(members, position), over: members.flatMap { [$0.0, $0.1] })
    }

    // MARK: - What follows a value

    private mutating func postfix(_ value: any Expression) throws(Failure) -> any Expression {
        var value = value
        while true {
            switch current.kind {
            case .symbol(.dot), .symbol(.leftBracket): value = try access(value)
            case .symbol(.leftParenthesis): value = try call(value)
            default: return value
            }
        }
    }

    private mutating func filtersAndTests(of value: any Expression) throws(Failure) -> any Expression {
        var value = value
        while true {
            switch current.kind {
            case .symbol(.pipe): value = try filters(of: value) ?? value
            case .name("is"): value = try test(of: value)
            case .symbol(.leftParenthesis): value = try call(value)
            default: return value
            }
        }
    }

    private mutating func access(_ value: any Expression) throws(Failure) -> any Expression {
        if skip(.dot) {
            let token = take()
            switch token.kind {
            case .name(let name): return try bounded(Attribute(value, name, token.position), over: [value])
            case .int(let index):
                return try bounded(
                    Subscript(value, Constant(.int(index), token.position), token.position), over: [value])
            default: throw .syntax("expected a name or a number, got \(token.shown)", at: token.position)
            }
        }
        let position = take().position
        var keys: [any Expression] = []
        while !isAt(.rightBracket) {
            if !keys.isEmpty { try expect(.comma) }
            keys.append(try key())
        }
        try expect(.rightBracket)
        let key = keys.count == 1 ? keys[0] : SequenceLiteral(keys, isTuple: true, position)
        return try bounded(Subscript(value, key, position), over: [value] + keys)
    }

    /// A key, or a slice `a:b:c`.
    private mutating func key() throws(Failure) -> any Expression {
        let position = current.position
        var parts: [(any Expression)?] = []
        if isAt(.colon) {
            parts = [nil]
        } else {
            let start = try expression()
            guard isAt(.colon) else { return start }
            parts = [start]
        }
        while parts.count < 3, skip(.colon) {
            let isEmpty = isAt(.colon) || isAt(.rightBracket) || isAt(.comma)
            parts.append(isEmpty ? nil : try expression())
        }
        while parts.count < 3 { parts.append(nil) }
        return try bounded(Slice(parts, position), over: parts.compactMap(\.self))
    }

    private mutating func call(_ callee: any Expression) throws(Failure) -> any Expression {
        let position = current.position
        let (arguments, all) = try arguments()
        return try bounded(Call(callee, arguments, position), over: [callee] + all)
    }

    /// What is between parentheses, and all its expressions.
    private mutating func arguments() throws(Failure) -> (ArgumentList, [any Expression]) {
        var (list, all) = (ArgumentList(), [any Expression]())
        let position = current.position
        func wrongOrder() -> Failure { .syntax("the arguments are in a wrong order", at: position) }
        try expect(.leftParenthesis)
        while !isAt(.rightParenthesis) {
            if !all.isEmpty { try expect(.comma) }
            if isAt(.rightParenthesis) { break }
            if skip(.times) {
                guard list.rest == nil, list.namedRest == nil else { throw wrongOrder() }
                let value = try expression()
                list.rest = value
                all.append(value)
            } else if skip(.power) {
                guard list.namedRest == nil else { throw wrongOrder() }
                let value = try expression()
                list.namedRest = value
                all.append(value)
            } else if case .name(let name) = current.kind, following.kind == .symbol(.assign) {
                guard list.namedRest == nil else { throw wrongOrder() }
                take()
                take()
                let value = try expression()
                list.named.append((name, value))
                all.append(value)
            } else {
                guard list.rest == nil, list.namedRest == nil, list.named.isEmpty else { throw wrongOrder() }
                let value = try expression()
                list.positional.append(value)
                all.append(value)
            }
        }
        try expect(.rightParenthesis)
        return (list, all)
    }

    /// `|a|b(c)`; without a value, the filters of a block.
    mutating func filters(of value: (any Expression)?, startsInline: Bool = false) throws(Failure) -> (any Expression)?
    {
        var value = value
        var isInline = startsInline
        while isInline || isAt(.pipe) {
            if !isInline { take() }
            isInline = false
            let position = current.position
            let name = try dottedName()
            let (arguments, all) = isAt(.leftParenthesis) ? try arguments() : (ArgumentList(), [])
            value = try bounded(
                FilterCall(value, name, arguments, position), over: [value].compactMap(\.self) + all)
        }
        return value
    }

    private mutating func dottedName() throws(Failure) -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }

    /// `is a`, `is not a`, `is a(b)`, `is a b`.
    private mutating func test(of value: any Expression) throws(Failure) -> any Expression {
        let position = take().position
        let isNegated = skip("not")
        let name = try dottedName()
        var (list, all) = (ArgumentList(), [any Expression]())
        switch current.kind {
        case .symbol(.leftParenthesis): (list, all) = try arguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw .syntax("tests can't follow each other", at: current.position)
        case .name, .string, .int, .float, .symbol(.leftBracket), .symbol(.leftBrace):
            let operand = try nested { parser throws(Failure) in
                let operand = try parser.primary()
                return try parser.postfix(operand)
            }
            list.positional = [operand]
            all = [operand]
        default: break
        }
        let test = try bounded(TestCall(value, name, list, position), over: [value] + all)
        return isNegated ? try bounded(Negation(test, position), over: [test]) : test
    }
}

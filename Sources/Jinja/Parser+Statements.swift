extension Parser {
    /// Statements up to a tag of one of these names, whose name is then current.
    mutating func block(until ends: Set<String>) throws(Failure) -> Block {
        try nested { parser throws(Failure) in try parser.statements(until: ends) }
    }

    private mutating func statements(until ends: Set<String>) throws(Failure) -> Block {
        var block = Block()
        while true {
            let token = current
            switch token.kind {
            case .data(let text):
                take()
                block.statements.append(Data(text, token.position))
            case .variableBegin:
                take()
                block.statements.append(Output(try tuple(), token.position))
                guard skip(.variableEnd) else { throw unexpected("'}}'") }
            case .blockBegin:
                take()
                if case .name(let name) = current.kind, ends.contains(name) { return block }
                block.statements.append(try statement())
            default: return block
            }
        }
    }

    /// The statements of an open tag up to the tag that ends it, which is consumed.
    private mutating func body(of tag: String, until end: String) throws(Failure) -> Block {
        let block = try block(until: [end])
        try expect(end)
        _ = skip(tag)
        try expectBlockEnd()
        return block
    }

    private mutating func statement() throws(Failure) -> any Statement {
        let position = current.position
        guard case .name(let tag) = current.kind else { throw unexpected("a tag's name") }
        take()
        openTags.append((tag, position))
        defer { openTags.removeLast() }
        switch tag {
        case "if": return try ifStatement(position)
        case "for": return try forStatement(position)
        case "set": return try setStatement(position)
        case "macro": return try macroStatement(position)
        case "call": return try callStatement(position)
        case "with": return try withStatement(position)
        case "filter": return try filterStatement(position)
        case "generation":
            try expectBlockEnd()
            return Generation(try body(of: tag, until: "endgeneration"), position)
        case "break", "continue":
            guard loops > 0 else { throw .syntax("'\(tag)' is outside of a loop", at: position) }
            try expectBlockEnd()
            return Jump(tag == "break" ? .leaveLoop : .nextIteration, position)
        case "include", "import", "from", "extends", "block":
            throw .syntax("tag '\(tag)' is not supported: a chat template is one file", at: position)
        case "do", "trans", "autoescape", "debug":
            throw .syntax("tag '\(tag)' is not part of chat templates", at: position)
        default: throw unknown(tag, position)
        }
    }

    private func unknown(_ tag: String, _ position: Int) -> Failure {
        var message = "unknown tag '\(tag)'"
        if let open = openTags.dropLast().last { message += "; tag '\(open.name)' is open" }
        return .syntax(message, at: position)
    }

    private mutating func ifStatement(_ position: Int) throws(Failure) -> any Statement {
        var branches: [(any Expression, Block)] = []
        repeat {
            let condition = try tuple(withCondition: false)
            try expectBlockEnd()
            branches.append((condition, try block(until: ["elif", "else", "endif"])))
        } while skip("elif")
        var otherwise = Block()
        if skip("else") {
            try expectBlockEnd()
            otherwise = try block(until: ["endif"])
        }
        try expect("endif")
        try expectBlockEnd()
        return If(branches, otherwise: otherwise, position)
    }

    private mutating func forStatement(_ position: Int) throws(Failure) -> any Statement {
        let target = try target(end: "in")
        try expect("in")
        let iterable = try tuple(withCondition: false, end: "recursive")
        let condition = skip("if") ? try expression() : nil
        let isRecursive = skip("recursive")
        try expectBlockEnd()
        loops += 1
        let body = try block(until: ["endfor", "else"])
        loops -= 1
        var otherwise = Block()
        if skip("else") {
            try expectBlockEnd()
            otherwise = try block(until: ["endfor"])
        }
        try expect("endfor")
        try expectBlockEnd()
        return For(
            target, in: iterable, if: condition, isRecursive: isRecursive, body, otherwise: otherwise, position)
    }

    private mutating func setStatement(_ position: Int) throws(Failure) -> any Statement {
        let target = try target(withNamespace: true)
        if skip(.assign) {
            let value = try tuple()
            try expectBlockEnd()
            return Assignment(target, value, position)
        }
        let filter = try filters(of: nil) as? FilterCall
        try expectBlockEnd()
        return BlockAssignment(target, filter, try body(of: "set", until: "endset"), position)
    }

    private mutating func withStatement(_ position: Int) throws(Failure) -> any Statement {
        var assignments: [(Target, any Expression)] = []
        while current.kind != .blockEnd {
            if !assignments.isEmpty { try expect(.comma) }
            let target = try target()
            try expect(.assign)
            assignments.append((target, try expression()))
        }
        try expectBlockEnd()
        return With(assignments, try body(of: "with", until: "endwith"), position)
    }

    private mutating func filterStatement(_ position: Int) throws(Failure) -> any Statement {
        guard let filter = try filters(of: nil, startsInline: true) as? FilterCall else { throw unexpected("a filter") }
        try expectBlockEnd()
        return FilterBlock(filter, try body(of: "filter", until: "endfilter"), position)
    }

    private mutating func macroStatement(_ position: Int) throws(Failure) -> any Statement {
        let name = try expectName()
        let parameters = try parameters()
        try expectBlockEnd()
        return MacroDefinition(name, MacroBody(parameters, try macroBody("macro", until: "endmacro")), position)
    }

    private mutating func callStatement(_ position: Int) throws(Failure) -> any Statement {
        let parameters = isAt(.leftParenthesis) ? try parameters() : []
        guard let call = try expression() as? Call else { throw .syntax("'call' wants a call", at: position) }
        try expectBlockEnd()
        return CallBlock(call, MacroBody(parameters, try macroBody("call", until: "endcall")), position)
    }

    private mutating func macroBody(_ tag: String, until end: String) throws(Failure) -> Block {
        let outerLoops = loops
        loops = 0
        defer { loops = outerLoops }
        return try body(of: tag, until: end)
    }

    private mutating func parameters() throws(Failure) -> [(String, (any Expression)?)] {
        var parameters: [(String, (any Expression)?)] = []
        try expect(.leftParenthesis)
        while !isAt(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let position = current.position
            let name = try expectName()
            let value = skip(.assign) ? try expression() : nil
            if value == nil, let last = parameters.last, last.1 != nil {
                throw .syntax("a parameter without a default follows one with a default", at: position)
            }
            parameters.append((name, value))
        }
        try expect(.rightParenthesis)
        return parameters
    }

    // MARK: - Targets

    /// A name, or several with commas between.
    private mutating func target(withNamespace: Bool = false, end: String? = nil) throws(Failure) -> Target {
        let position = current.position
        var targets: [Target] = []
        var isTuple = false
        while true {
            if isTuple, current.kind == .blockEnd || isAt(.assign) || (end.map { isAt($0) } ?? false) { break }
            targets.append(try singleTarget(withNamespace: withNamespace))
            guard skip(.comma) else { break }
            isTuple = true
        }
        return isTuple ? Target(tuple: targets, position) : targets[0]
    }

    private mutating func singleTarget(withNamespace: Bool) throws(Failure) -> Target {
        let position = current.position
        if skip(.leftParenthesis) {
            let target = try nested { parser throws(Failure) in try parser.target() }
            try expect(.rightParenthesis)
            return target
        }
        let name = try expectName()
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw .syntax("can't assign to '\(name)'", at: position)
        }
        if withNamespace, skip(.dot) { return Target(namespace: name, attribute: try expectName(), position) }
        return Target(name: name, position)
    }
}

/// What a call gives: `a, *b, c=d, **e`.
struct ArgumentList {
    var positional: [any Expression] = []
    var named: [(name: String, value: any Expression)] = []
    var rest: (any Expression)?
    var namedRest: (any Expression)?

    func resolve(_ scope: Scope) throws(Failure) {
        for argument in positional { try argument.resolve(scope) }
        for argument in named { try argument.value.resolve(scope) }
        try rest?.resolve(scope)
        try namedRest?.resolve(scope)
    }

    func evaluate(_ rendering: Rendering) throws(Failure) -> Arguments {
        let budget = rendering.budget
        var arguments = Arguments()
        for argument in positional { arguments.positional.append(try argument.evaluate(rendering)) }
        if let rest { arguments.positional += try rest.evaluate(rendering).iterated(budget).elements }
        for argument in named { arguments.named.append((argument.name, try argument.value.evaluate(rendering))) }
        if let namedRest {
            guard case .mapping(let mapping) = try namedRest.evaluate(rendering) else {
                throw .type("argument after ** must be a mapping")
            }
            for entry in mapping.entries {
                guard let name = entry.key.text else { throw .type("keywords must be strings") }
                try budget.pay(bytes: name.utf8.count)
                arguments.named.append((name.string, entry.value))
            }
        }
        // What takes them looks each name up among its parameters, of which few have more than some.
        try budget.work(elements: arguments.positional.count + 4 * arguments.named.count)
        return arguments
    }
}

/// The values of a call's arguments.
struct Arguments {
    var positional: [Value] = []
    var named: [(name: String, value: Value)] = []

    /// The values of a function's parameters in order; nil where none was given.
    ///
    /// - Throws: `Failure` for too many, an unknown or a missing one of the first `required`.
    func bound(to names: [String], of function: String, required: Int = 0) throws(Failure) -> [Value?] {
        guard positional.count <= names.count else {
            throw .type("\(function)() takes at most \(names.count) arguments (\(positional.count) given)")
        }
        var values: [Value?] = positional + repeatElement(nil, count: names.count - positional.count)
        for argument in named {
            guard let position = names.firstIndex(of: argument.name) else {
                throw .type("\(function)() got an unexpected keyword argument '\(Text(argument.name).shown)'")
            }
            guard values[position] == nil else {
                throw .type("\(function)() got multiple values for argument '\(Text(argument.name).shown)'")
            }
            values[position] = argument.value
        }
        if let missing = values.prefix(required).firstIndex(where: { $0 == nil }) {
            throw .type("\(function)() missing 1 required positional argument: '\(names[missing])'")
        }
        return values
    }
}

/// `a(…)`.
final class Call: ExpressionNode, Expression {
    private let callee: any Expression
    /// The callee, where it is an attribute.
    private let method: Attribute?
    private let arguments: ArgumentList

    init(_ callee: any Expression, _ arguments: ArgumentList, _ position: Int) {
        self.callee = callee
        method = callee as? Attribute
        self.arguments = arguments
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try callee.resolve(scope)
        try arguments.resolve(scope)
    }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        try value(rendering, caller: nil)
    }

    /// - Parameter caller: What a call block gives the macro to call.
    func value(_ rendering: Rendering, caller: Value?) throws(Failure) -> Value {
        if let attribute = method, caller == nil {
            let owner = try attribute.object.evaluate(rendering)
            if let method = BoundMethod.Method(attribute.name, of: owner) {
                let arguments = try arguments.evaluate(rendering)
                rendering.position = position
                return try method.call(on: owner, arguments, rendering)
            }
            rendering.position = attribute.position
            return try call(try owner.attribute(attribute.name, rendering), nil, rendering)
        }
        return try call(try callee.evaluate(rendering), caller, rendering)
    }

    private func call(_ function: Value, _ caller: Value?, _ rendering: Rendering) throws(Failure) -> Value {
        var arguments = try arguments.evaluate(rendering)
        if let caller { arguments.named.append(("caller", caller)) }
        rendering.position = position
        if case .undefined(let undefined) = function { throw undefined.failure }
        guard case .object(let object) = function, let result = try object.call(arguments, rendering) else {
            throw .type("'\(function.typeName)' object is not callable")
        }
        return result
    }
}

/// `a|b(…)`.
final class FilterCall: ExpressionNode, Expression {
    /// nil within a filter block or a block set, whose text is what is filtered.
    private let operand: (any Expression)?
    private let name: String
    private let arguments: ArgumentList
    private var filter: Filters.Function?

    init(_ operand: (any Expression)?, _ name: String, _ arguments: ArgumentList, _ position: Int) {
        self.operand = operand
        self.name = name
        self.arguments = arguments
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        filter = Filters.all[name]
        if filter == nil, !scope.isConditional { throw unknown }
        try operand?.resolve(scope)
        try arguments.resolve(scope)
    }

    private var unknown: Failure { .syntax("no filter named '\(name)'", at: position) }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        try value(rendering, block: nil)
    }

    /// - Parameter block: The text of the block that is filtered.
    func value(_ rendering: Rendering, block: Text?) throws(Failure) -> Value {
        let value: Value
        if let block, let inner = operand as? FilterCall {
            try rendering.budget.enter()
            value = try inner.value(rendering, block: block)
        } else if let operand {
            value = try operand.evaluate(rendering)
        } else {
            value = .string(block ?? "")
        }
        let arguments = try arguments.evaluate(rendering)
        rendering.position = position
        guard let filter else { throw Failure(kind: .runtime, unknown.message) }
        return try filter(rendering, value, arguments)
    }
}

/// `a is b(…)`.
final class TestCall: ExpressionNode, Expression {
    private let operand: any Expression
    private let name: String
    private let arguments: ArgumentList
    private var test: Tests.Function?

    init(_ operand: any Expression, _ name: String, _ arguments: ArgumentList, _ position: Int) {
        self.operand = operand
        self.name = name
        self.arguments = arguments
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        test = Tests.all[name]
        if test == nil, !scope.isConditional { throw unknown }
        try operand.resolve(scope)
        try arguments.resolve(scope)
    }

    private var unknown: Failure { .syntax("no test named '\(name)'", at: position) }

    func compute(_ rendering: Rendering) throws(Failure) -> Value {
        let value = try operand.evaluate(rendering)
        let arguments = try arguments.evaluate(rendering)
        rendering.position = position
        guard let test else { throw Failure(kind: .runtime, unknown.message) }
        return .bool(try test(rendering, value, arguments))
    }
}

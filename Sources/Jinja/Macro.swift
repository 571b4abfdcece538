/// The parameters and the body of a macro or a call block.
final class MacroBody {
    private let parameters: [(name: String, defaultValue: (any Expression)?)]
    private let body: Block
    private var parameterSlots: [Int] = []
    private var copies: [(slot: Int, from: SlotPath)] = []
    private var emptySlots: [Value] = []
    /// The slots of what a body may use without declaring it; nil where it doesn't.
    private var caller: Int?
    private var varargs: Int?
    private var kwargs: Int?

    init(_ parameters: [(String, (any Expression)?)], _ body: Block) {
        self.parameters = parameters
        self.body = body
    }

    var names: [String] { parameters.map(\.name) }
    var takesMoreArguments: Bool { varargs != nil }
    var takesMoreNames: Bool { kwargs != nil }
    var takesCaller: Bool { caller != nil }

    func resolve(_ scope: Scope) throws(Failure) {
        let inner = Scope(frameIn: scope)
        parameterSlots = names.map(inner.declare)
        var implicit: [String: Int] = [:]
        for name in ["caller", "varargs", "kwargs"] where !names.contains(name) {
            implicit[name] = inner.declare(name)
        }
        for parameter in parameters { try parameter.defaultValue?.resolve(inner) }
        try body.resolve(inner)
        func used(_ name: String) -> Int? { inner.readNames.contains(name) ? implicit[name] : nil }
        (caller, varargs, kwargs) = (used("caller"), used("varargs"), used("kwargs"))
        copies = inner.copies
        emptySlots = inner.layout.emptySlots
    }

    /// What the body writes when it is called.
    func call(
        _ name: String, _ arguments: Arguments, in outer: Frame, _ rendering: Rendering
    ) throws(Failure) -> Text {
        let budget = rendering.budget
        // Finding named arguments among the parameters isn't counted elsewhere.
        let lookups = parameters.count.multipliedReportingOverflow(by: arguments.named.count)
        try budget.work(elements: lookups.overflow ? .max : emptySlots.count + copies.count + lookups.partialValue)
        let frame = Frame(emptySlots, parent: outer)
        for copy in copies { frame.slots[copy.slot] = frame[copy.from] }
        let missing = try bind(name, arguments, frame, budget)
        let before = rendering.frame
        rendering.frame = frame
        defer { rendering.frame = before }
        return try budget.nested { () throws(Failure) in
            for index in missing {
                let parameter = parameters[index]
                frame.slots[parameterSlots[index]] =
                    try parameter.defaultValue?.evaluate(rendering)
                    ?? .undefined(Undefined(message: "parameter '\(parameter.name)' was not provided"))
            }
            return try rendering.capture { () throws(Failure) in _ = try body.execute(rendering) }
        }
    }

    /// Puts arguments into slots, and returns the parameters that got none.
    private func bind(
        _ name: String, _ arguments: Arguments, _ frame: Frame, _ budget: Budget
    ) throws(Failure) -> [Int] {
        var missing: [Int] = []
        var named = arguments.named
        for (index, parameter) in parameters.enumerated() {
            if index < arguments.positional.count {
                frame.slots[parameterSlots[index]] = arguments.positional[index]
            } else if let found = named.firstIndex(where: { $0.name == parameter.name }) {
                frame.slots[parameterSlots[index]] = named.remove(at: found).value
            } else {
                missing.append(index)
            }
        }
        if let caller {
            let given = named.firstIndex { $0.name == "caller" }.map { named.remove(at: $0).value }
            frame.slots[caller] = given ?? .undefined(Undefined(message: "No caller defined"))
        }
        if let kwargs {
            frame.slots[kwargs] = try budget.mapping(named: named)
        } else if let extra = named.first {
            throw .type("macro '\(name)' takes no keyword argument '\(extra.name)'")
        }
        let more = arguments.positional.dropFirst(parameters.count)
        if let varargs {
            frame.slots[varargs] = try budget.tuple(Array(more))
        } else if !more.isEmpty {
            throw .type("macro '\(name)' takes not more than \(parameters.count) argument(s)")
        }
        return missing
    }
}

/// `{% macro a(b, c=d) %}…{% endmacro %}`.
final class MacroDefinition: StatementNode, Statement {
    private let name: String
    private let body: MacroBody
    private var slot = 0

    init(_ name: String, _ body: MacroBody, _ position: Int) {
        self.name = name
        self.body = body
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        slot = scope.slotToSet(name)
        try body.resolve(scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        rendering.frame.slots[slot] = .object(try MacroObject(rendering, name, body))
        return .next
    }
}

/// `{% call(a) b(c) %}…{% endcall %}`: calls a macro, which can call the block.
final class CallBlock: StatementNode, Statement {
    private let call: Call
    private let body: MacroBody

    init(_ call: Call, _ body: MacroBody, _ position: Int) {
        self.call = call
        self.body = body
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try call.resolve(scope)
        try body.resolve(scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        let caller = try MacroObject(rendering, "caller", body)
        try rendering.write(try call.value(rendering, caller: .object(caller)))
        return .next
    }
}

/// A macro where it was defined.
final class MacroObject: Object {
    private let name: String
    private let body: MacroBody
    private let home: Frame

    /// A macro that is defined in the current frame, which may come to hold it.
    init(_ rendering: Rendering, _ name: String, _ body: MacroBody) throws(Failure) {
        self.name = name
        self.body = body
        home = rendering.frame
        try super.init(rendering.budget)
        try rendering.hold(home)
    }

    override var typeName: String { "Macro" }
    override var isCallable: Bool { true }
    override func text(_ budget: Budget) throws(Failure) -> Text { try budget.text("<Macro '\(name)'>") }

    override func attribute(_ name: Text, _ rendering: Rendering) throws(Failure) -> Value? {
        let budget = rendering.budget
        switch name {
        case "name": return .string(try budget.text(self.name))
        case "arguments":
            var names: [Value] = []
            for name in body.names { names.append(.string(try budget.text(name))) }
            return try budget.tuple(names)
        case "catch_kwargs": return .bool(body.takesMoreNames)
        case "catch_varargs": return .bool(body.takesMoreArguments)
        case "caller": return .bool(body.takesCaller)
        default: return nil
        }
    }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        .string(try body.call(name, arguments, in: home, rendering))
    }
}

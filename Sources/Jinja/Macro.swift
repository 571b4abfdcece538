/// The parameters and the body of a macro or a call block.
final class MacroBody {
    private let parameters: [(name: String, usual: Expression?)]
    private let body: Block
    private var parameterSlots: [Int] = []
    private var copies: [(slot: Int, from: Place)] = []
    private var emptySlots: [Value] = []
    /// The slots of what a body may use without declaring it; nil where it doesn't.
    private var caller: Int?
    private var varargs: Int?
    private var kwargs: Int?

    init(_ parameters: [(String, Expression?)], _ body: Block) {
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
        for parameter in parameters { try parameter.usual?.resolve(inner) }
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
        let frame = Frame(emptySlots, parent: outer)
        for copy in copies { frame.slots[copy.slot] = frame[copy.from] }
        let missing = try bind(name, arguments, frame)
        let before = rendering.frame
        rendering.frame = frame
        defer { rendering.frame = before }
        return try rendering.nested { () throws(Failure) in
            for place in missing {
                let parameter = parameters[place]
                frame.slots[parameterSlots[place]] =
                    try parameter.usual?.evaluate(rendering)
                    ?? .undefined(Undefined(message: "parameter '\(parameter.name)' was not provided"))
            }
            return try rendering.capture { () throws(Failure) in _ = try body.execute(rendering) }
        }
    }

    /// Puts arguments into slots, and returns the parameters that got none.
    private func bind(_ name: String, _ arguments: Arguments, _ frame: Frame) throws(Failure) -> [Int] {
        var missing: [Int] = []
        var named = arguments.named
        for (place, parameter) in parameters.enumerated() {
            if place < arguments.positional.count {
                frame.slots[parameterSlots[place]] = arguments.positional[place]
            } else if let found = named.firstIndex(where: { $0.name == parameter.name }) {
                frame.slots[parameterSlots[place]] = named.remove(at: found).value
            } else {
                missing.append(place)
            }
        }
        if let caller {
            let given = named.firstIndex { $0.name == "caller" }.map { named.remove(at: $0).value }
            frame.slots[caller] = given ?? .undefined(Undefined(message: "No caller defined"))
        }
        if let kwargs {
            frame.slots[kwargs] = .mapping(Mapping(named.map { ($0.name, $0.value) }))
        } else if let extra = named.first {
            throw Failure("macro '\(name)' takes no keyword argument '\(extra.name)'")
        }
        let more = arguments.positional.dropFirst(parameters.count)
        if let varargs {
            frame.slots[varargs] = .tuple(Array(more))
        } else if !more.isEmpty {
            throw Failure("macro '\(name)' takes not more than \(parameters.count) argument(s)")
        }
        return missing
    }
}

/// `{% macro a(b, c=d) %}…{% endmacro %}`.
final class MacroDefinition: Statement {
    private let name: String
    private let body: MacroBody
    private var slot = 0

    init(_ name: String, _ body: MacroBody, _ position: Int) {
        self.name = name
        self.body = body
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        slot = scope.slotToSet(name)
        try body.resolve(scope)
    }

    override func execute(_ rendering: Rendering) -> Flow {
        rendering.hold(rendering.frame)
        rendering.frame.slots[slot] = .object(MacroObject(name, body, rendering.frame))
        return .next
    }
}

/// `{% call(a) b(c) %}…{% endcall %}`: calls a macro, which can call the block.
final class CallBlock: Statement {
    private let call: Call
    private let body: MacroBody

    init(_ call: Call, _ body: MacroBody, _ position: Int) {
        self.call = call
        self.body = body
        super.init(position)
    }

    override func resolve(_ scope: Scope) throws(Failure) {
        try call.resolve(scope)
        try body.resolve(scope)
    }

    override func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        let caller = MacroObject("caller", body, rendering.frame)
        try rendering.write(try call.evaluate(rendering, caller: .object(caller)))
        return .next
    }
}

/// A macro where it was defined.
final class MacroObject: Object {
    private let name: String
    private let body: MacroBody
    private let home: Frame

    init(_ name: String, _ body: MacroBody, _ home: Frame) {
        self.name = name
        self.body = body
        self.home = home
    }

    override var typeName: String { "Macro" }
    override var text: String { "<Macro '\(name)'>" }
    override var isCallable: Bool { true }

    override func attribute(_ name: Text) -> Value? {
        switch name {
        case "name": .string(self.name)
        case "arguments": .tuple(body.names.map { .string($0) })
        case "catch_kwargs": .bool(body.takesMoreNames)
        case "catch_varargs": .bool(body.takesMoreArguments)
        case "caller": .bool(body.takesCaller)
        default: nil
        }
    }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        .string(try body.call(name, arguments, in: home, rendering))
    }
}

/// What a value is assigned to: a name, names in a tuple, or a namespace's attribute.
final class Target {
    private enum Kind {
        case name(String)
        case tuple([Target])
        case attribute(namespace: String, name: Text)
    }

    private let kind: Kind
    private let position: Int
    private var slot = 0
    private var namespace = SlotPath(depth: 0, slot: 0)

    init(name: String, _ position: Int) {
        kind = .name(name)
        self.position = position
    }

    init(tuple: [Target], _ position: Int) {
        kind = .tuple(tuple)
        self.position = position
    }

    init(namespace: String, attribute: String, _ position: Int) {
        kind = .attribute(namespace: namespace, name: Text(attribute))
        self.position = position
    }

    /// A target of the same names, for another scope.
    var copy: Target {
        switch kind {
        case .name(let name): Target(name: name, position)
        case .tuple(let targets): Target(tuple: targets.map(\.copy), position)
        case .attribute(let namespace, let name): Target(namespace: namespace, attribute: name.string, position)
        }
    }

    /// Resolves names that are set, and may have had a value outside.
    func resolve(_ scope: Scope) throws(Failure) {
        switch kind {
        case .name(let name): slot = scope.slotToSet(name)
        case .tuple(let targets): for target in targets { try target.resolve(scope) }
        case .attribute(let name, _): namespace = scope.slot(of: name)
        }
    }

    /// Resolves names that belong to the scope, as a loop's.
    func declare(in scope: Scope) throws(Failure) {
        switch kind {
        case .name(let name): slot = scope.declare(name)
        case .tuple(let targets): for target in targets { try target.declare(in: scope) }
        case .attribute: throw .syntax("a namespace's attribute can't be assigned to here", at: position)
        }
    }

    func assign(_ value: Value, _ rendering: Rendering) throws(Failure) {
        switch kind {
        case .name: rendering.frame.slots[slot] = value
        case .attribute(_, let name):
            rendering.position = position
            guard case .object(let object) = rendering.frame[namespace], let namespace = object as? Namespace else {
                throw Failure(kind: .runtime, "cannot assign attribute on non-namespace object")
            }
            try namespace.set(name, to: value, rendering)
        case .tuple(let targets):
            rendering.position = position
            let values = try value.iterated(rendering.budget).elements
            guard values.count == targets.count else {
                throw .value(
                    values.count < targets.count
                        ? "not enough values to unpack (expected \(targets.count), got \(values.count))"
                        : "too many values to unpack (expected \(targets.count))")
            }
            for (target, value) in zip(targets, values) { try target.assign(value, rendering) }
        }
    }
}

/// `{% set a = b %}`.
final class Assignment: StatementNode, Statement {
    private let target: Target
    private let value: any Expression

    init(_ target: Target, _ value: any Expression, _ position: Int) {
        self.target = target
        self.value = value
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try value.resolve(scope)
        try target.resolve(scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        try target.assign(try value.evaluate(rendering), rendering)
        return .next
    }
}

/// `{% set a %}…{% endset %}`, perhaps with filters.
final class BlockAssignment: StatementNode, Statement {
    private let target: Target
    private let filter: FilterCall?
    private var block: ScopedBlock

    init(_ target: Target, _ filter: FilterCall?, _ block: Block, _ position: Int) {
        self.target = target
        self.filter = filter
        self.block = ScopedBlock(block)
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try filter?.resolve(scope)
        try block.resolve(in: scope)
        try target.resolve(scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        try block.enter(rendering)
        var flow = Flow.next
        let text = try rendering.capture { () throws(Failure) in flow = try block.execute(rendering) }
        if flow != .next { return flow }
        try target.assign(try filter?.value(rendering, block: text) ?? .string(text), rendering)
        return .next
    }
}

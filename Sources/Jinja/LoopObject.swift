/// `loop` within a `for`.
final class LoopObject: Object {
    let elements: [Value]
    private let level: Int
    /// Renders the body again for other elements; nil where the loop isn't recursive.
    private let recurse: ((List, Int) throws(Failure) -> Text)?
    var index = 0
    /// What `changed` was called with last; nil before.
    private var changed: [Value]?

    /// - Parameter level: The number of calls of the same loop around it.
    init(
        _ budget: Budget, _ elements: List, level: Int, recurse: ((List, Int) throws(Failure) -> Text)?
    ) throws(Failure) {
        self.elements = elements.elements
        self.level = level
        self.recurse = recurse
        try super.init(budget, depth: elements.depth - 1)
    }

    override var typeName: String { "LoopContext" }
    override var count: Int? { elements.count }
    override var isCallable: Bool { true }
    override func text(_ budget: Budget) throws(Failure) -> Text {
        try budget.text("<LoopContext \(index + 1)/\(elements.count)>")
    }

    override func attribute(_ name: Text, _ rendering: Rendering) throws(Failure) -> Value? {
        switch name {
        case "index": return .int(index + 1)
        case "index0": return .int(index)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == elements.count - 1)
        case "length": return .int(elements.count)
        case "revindex": return .int(elements.count - index)
        case "revindex0": return .int(elements.count - index - 1)
        case "previtem":
            return index > 0 ? elements[index - 1] : .undefined(Undefined(message: "there is no previous item"))
        case "nextitem":
            let next = index + 1
            return next < elements.count
                ? elements[next] : .undefined(Undefined(message: "there is no next item"))
        case "depth": return .int(level + 1)
        case "depth0": return .int(level)
        case "cycle":
            return .object(
                try Function(rendering.budget, "cycle", depth: depth) { [self] arguments, _ throws(Failure) in
                    guard !arguments.positional.isEmpty else { throw .type("no items for cycling given") }
                    return arguments.positional[index % arguments.positional.count]
                })
        case "changed":
            return .object(
                try Function(rendering.budget, "changed", depth: depth) { [self] arguments, rendering throws(Failure) in
                    .bool(try hasChanged(arguments.positional, rendering))
                })
        default: return nil
        }
    }

    /// Whether the values are other ones than those of the last call.
    ///
    /// The loop keeps them, and may be one of them: the rendering lets go of them when it ends.
    private func hasChanged(_ now: [Value], _ rendering: Rendering) throws(Failure) -> Bool {
        try rendering.budget.pay(elements: now.count)
        guard let before = changed else {
            rendering.hold { [self] in changed = nil }
            changed = now
            return true
        }
        changed = now
        guard before.count == now.count else { return true }
        for (a, b) in zip(before, now) where !(try a.equals(b, rendering.budget)) { return true }
        return false
    }

    override func call(_ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value? {
        guard let recurse else {
            throw .type("The loop must have the 'recursive' marker to be called recursively.")
        }
        let values = try arguments.bound(to: ["iterable"], of: "loop", required: 1)
        return .string(try recurse(try (values[0] ?? .none).iterated(rendering.budget), level + 1))
    }
}

/// `{% for a in b if c recursive %}…{% else %}…{% endfor %}`.
final class For: StatementNode, Statement {
    private let target: Target
    private let iterable: any Expression
    private let filter: (target: Target, condition: any Expression)?
    private let isRecursive: Bool
    private let body: Block
    private var otherwise: ScopedBlock

    private var copies: [(slot: Int, from: SlotPath)] = []
    private var loopSlot = 0
    private var usesLoop = false
    /// A frame's slots for the body of a recursive loop.
    private var emptySlots: [Value] = []

    init(
        _ target: Target, in iterable: any Expression, if condition: (any Expression)?, isRecursive: Bool,
        _ body: Block,
        otherwise: Block, _ position: Int
    ) {
        self.target = target
        self.iterable = iterable
        filter = condition.map { (target.copy, $0) }
        self.isRecursive = isRecursive
        self.body = body
        self.otherwise = ScopedBlock(otherwise)
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try iterable.resolve(scope)
        let home = isRecursive ? Scope(frameIn: scope) : scope
        if let filter {
            let inner = Scope(in: home)
            try filter.target.declare(in: inner)
            try filter.condition.resolve(inner)
        }
        let inner = Scope(in: home)
        try target.declare(in: inner)
        loopSlot = inner.declare("loop")
        try body.resolve(inner)
        usesLoop = inner.readNames.contains("loop")
        copies = inner.copies
        if isRecursive { emptySlots = home.layout.emptySlots }
        try otherwise.resolve(in: scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        let value = try iterable.evaluate(rendering)
        rendering.position = iterable.position
        let elements = try value.iterated(rendering.budget)
        let count = isRecursive ? try recurse(elements, depth: 0, rendering) : try loop(elements, 0, rendering)
        if count == 0 {
            try otherwise.enter(rendering)
            return try otherwise.execute(rendering)
        }
        return .next
    }

    /// Runs the loop in a frame of its own.
    private func recurse(_ elements: List, depth: Int, _ rendering: Rendering) throws(Failure) -> Int {
        let outer = rendering.frame
        try rendering.budget.work(elements: emptySlots.count)
        rendering.frame = Frame(emptySlots, parent: outer)
        defer { rendering.frame = outer }
        return try rendering.budget.nested { () throws(Failure) in try loop(elements, depth, rendering) }
    }

    /// - Returns: The number of elements.
    private func loop(_ elements: List, _ depth: Int, _ rendering: Rendering) throws(Failure) -> Int {
        let elements = try filtered(elements, rendering)
        var loop: LoopObject?
        if usesLoop, !elements.elements.isEmpty {
            let home = isRecursive ? rendering.frame.parent ?? rendering.frame : rendering.frame
            let object = try LoopObject(
                rendering.budget, elements, level: depth,
                recurse: isRecursive ? try recursion(from: home, rendering) : nil)
            rendering.frame.slots[loopSlot] = .object(object)
            loop = object
        }
        let frame = rendering.frame
        for (i, element) in elements.elements.enumerated() {
            try rendering.budget.work(elements: 1 + copies.count)
            for copy in copies { frame.slots[copy.slot] = frame[copy.from] }
            loop?.index = i
            let start = rendering.output.count
            try target.assign(element, rendering)
            let flow = try body.execute(rendering)
            try rendering.markElement(element, from: start)
            if flow == .leaveLoop { break }
        }
        return elements.elements.count
    }

    private func filtered(_ elements: List, _ rendering: Rendering) throws(Failure) -> List {
        guard let filter else { return elements }
        var kept: [Value] = []
        for element in elements.elements {
            try rendering.budget.step()
            try filter.target.assign(element, rendering)
            if try filter.condition.evaluate(rendering).isTrue { kept.append(element) }
        }
        return try rendering.budget.elements(kept)
    }

    /// What calling `loop` does: the body for other elements, with names as they are around the outermost loop.
    private func recursion(
        from home: Frame, _ rendering: Rendering
    ) throws(Failure) -> (List, Int) throws(Failure) -> Text {
        try rendering.hold(home)
        return { [unowned self, unowned rendering] elements, depth throws(Failure) in
            let outer = rendering.frame
            rendering.frame = home
            defer { rendering.frame = outer }
            return try rendering.capture { () throws(Failure) in
                if try recurse(elements, depth: depth, rendering) == 0 {
                    try otherwise.enter(rendering)
                    _ = try otherwise.execute(rendering)
                }
            }
        }
    }
}

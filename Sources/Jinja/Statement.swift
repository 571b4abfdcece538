/// A tag or a piece of text of a template.
///
/// Every kind is a class with `resolve`, which finds the slots of names once, and `execute`.
protocol Statement: StatementNode {
    func resolve(_ scope: Scope) throws(Failure)
    func execute(_ rendering: Rendering) throws(Failure) -> Flow
}

/// What comes after a statement.
enum Flow { case next, leaveLoop, nextIteration }

/// What all kinds of statements have.
class StatementNode {
    /// The byte of the source at which it begins.
    let position: Int

    init(_ position: Int) { self.position = position }
}

/// Statements one after another.
struct Block {
    var statements: [any Statement] = []

    func resolve(_ scope: Scope) throws(Failure) {
        for statement in statements { try statement.resolve(scope) }
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        for statement in statements {
            try rendering.budget.step()
            let flow = try statement.execute(rendering)
            if flow != .next { return flow }
        }
        return .next
    }
}

/// Statements with names of their own: what is set within isn't set outside.
struct ScopedBlock {
    private let block: Block
    private var copies: [(slot: Int, from: SlotPath)] = []

    init(_ block: Block) { self.block = block }

    /// - Parameter declare: Declares the names that the block is entered with.
    mutating func resolve(in scope: Scope, declare: (Scope) throws(Failure) -> Void = { _ in }) throws(Failure) {
        let inner = Scope(in: scope)
        try declare(inner)
        try block.resolve(inner)
        copies = inner.copies
    }

    /// Gives the block's own names the values that they have outside.
    func enter(_ rendering: Rendering) throws(Failure) {
        try rendering.budget.work(elements: copies.count)
        for copy in copies { rendering.frame.slots[copy.slot] = rendering.frame[copy.from] }
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow { try block.execute(rendering) }
}

/// Text outside of tags.
final class Data: StatementNode, Statement {
    private let text: Text

    init(_ text: Text, _ position: Int) {
        self.text = text
        super.init(position)
    }

    func resolve(_ scope: Scope) {}

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        try rendering.write(text.utf8)
        return .next
    }
}

/// `{{ a }}`.
final class Output: StatementNode, Statement {
    private let expression: any Expression

    init(_ expression: any Expression, _ position: Int) {
        self.expression = expression
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) { try expression.resolve(scope) }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        let value = try expression.evaluate(rendering)
        rendering.position = position
        try rendering.write(value)
        return .next
    }
}

/// `{% if %}`, `{% elif %}`, `{% else %}`.
final class If: StatementNode, Statement {
    private let branches: [(condition: any Expression, block: Block)]
    private let otherwise: Block

    init(_ branches: [(any Expression, Block)], otherwise: Block, _ position: Int) {
        self.branches = branches
        self.otherwise = otherwise
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        let wasConditional = scope.isConditional
        scope.isConditional = true
        defer { scope.isConditional = wasConditional }
        for branch in branches {
            try branch.condition.resolve(scope)
            try branch.block.resolve(scope)
        }
        try otherwise.resolve(scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        for branch in branches where try branch.condition.evaluate(rendering).isTrue {
            return try branch.block.execute(rendering)
        }
        return try otherwise.execute(rendering)
    }
}

/// `{% break %}` and `{% continue %}`.
final class Jump: StatementNode, Statement {
    private let flow: Flow

    init(_ flow: Flow, _ position: Int) {
        self.flow = flow
        super.init(position)
    }

    func resolve(_ scope: Scope) {}
    func execute(_ rendering: Rendering) -> Flow { flow }
}

/// `{% with a = b %}`.
final class With: StatementNode, Statement {
    private let assignments: [(target: Target, value: any Expression)]
    private var block: ScopedBlock

    init(_ assignments: [(Target, any Expression)], _ block: Block, _ position: Int) {
        self.assignments = assignments
        self.block = ScopedBlock(block)
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        for assignment in assignments { try assignment.value.resolve(scope) }
        try block.resolve(in: scope) { inner throws(Failure) in
            for assignment in assignments { try assignment.target.declare(in: inner) }
        }
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        var values: [Value] = []
        for assignment in assignments { values.append(try assignment.value.evaluate(rendering)) }
        try block.enter(rendering)
        for (assignment, value) in zip(assignments, values) { try assignment.target.assign(value, rendering) }
        return try block.execute(rendering)
    }
}

/// `{% filter a|b %}`.
final class FilterBlock: StatementNode, Statement {
    private let filter: FilterCall
    private var block: ScopedBlock

    init(_ filter: FilterCall, _ block: Block, _ position: Int) {
        self.filter = filter
        self.block = ScopedBlock(block)
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) {
        try filter.resolve(scope)
        try block.resolve(in: scope)
    }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        try block.enter(rendering)
        var flow = Flow.next
        let text = try rendering.capture { () throws(Failure) in flow = try block.execute(rendering) }
        try rendering.write(try filter.value(rendering, block: text))
        return flow
    }
}

/// `{% generation %}`: what the model is trained to write.
final class Generation: StatementNode, Statement {
    private var block: ScopedBlock

    init(_ block: Block, _ position: Int) {
        self.block = ScopedBlock(block)
        super.init(position)
    }

    func resolve(_ scope: Scope) throws(Failure) { try block.resolve(in: scope) }

    func execute(_ rendering: Rendering) throws(Failure) -> Flow {
        try block.enter(rendering)
        let start = rendering.output.count
        let flow = try block.execute(rendering)
        try rendering.markGeneration(from: start)
        return flow
    }
}

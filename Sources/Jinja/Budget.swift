/// What a rendering may still use: steps of work, bytes of memory, and the stack of its thread.
///
/// All texts, lists, mappings and objects of a rendering are made by functions of its budget, which pay for them before
/// the memory is allocated; what only reads counts its work. Sizes that a template asks for are added and multiplied without
/// overflow. A rendering has one budget, and one thread uses it.
final class Budget {
    private let limits: Limits
    private var steps: Int
    private var memory: Int
    private var depth = 0
    private let stackEnd: UInt
    /// Bytes that a text, a list or an object takes besides its contents.
    static let overhead = 64

    init(_ limits: Limits) {
        self.limits = limits
        steps = limits.steps
        memory = limits.memory
        stackEnd = Stack.position &- UInt(Stack.usable)
    }

    // MARK: - Work

    /// Counts one step.
    func step() throws(Failure) {
        steps -= 1
        if steps < 0 { throw exhausted }
    }

    /// Counts one step of what calls itself, if there is stack for it.
    func enter() throws(Failure) {
        steps -= 1
        if steps < 0 || Stack.position < stackEnd { throw exhausted }
    }

    /// Counts the work on bytes that exist.
    func work(bytes: Int) throws(Failure) {
        steps -= bytes >> 6
        if steps < 0 { throw exhausted }
    }

    /// Counts the work on elements that exist.
    func work(elements: Int) throws(Failure) {
        steps -= elements
        if steps < 0 { throw exhausted }
    }

    private var exhausted: Failure {
        guard steps < 0 else { return Failure(kind: .limit, "nested too deep for the thread's stack") }
        return Failure(kind: .limit, "rendering takes more than \(limits.steps) steps")
    }

    /// Does something within a call; these may be nested to the limit's depth.
    func nested<T>(_ body: () throws(Failure) -> T) throws(Failure) -> T {
        guard depth < limits.depth else {
            throw Failure(kind: .limit, "calls are nested deeper than \(limits.depth)")
        }
        try enter()
        depth += 1
        defer { depth -= 1 }
        return try body()
    }

    // MARK: - Memory

    /// Pays for bytes that are about to be made; `refund` gives them back.
    ///
    /// - Parameter bytes: Not negative; as large as a template likes.
    func pay(bytes: Int) throws(Failure) {
        try take(bytes: bytes)
        try work(bytes: bytes)
    }

    /// Pays for bytes whose work is counted already.
    func take(bytes: Int) throws(Failure) {
        guard bytes <= memory else {
            throw Failure(kind: .limit, "rendering takes more than \(limits.memory) bytes of memory")
        }
        memory -= bytes
    }

    /// Pays for the elements of a list or the entries of a mapping that are about to be made.
    ///
    /// - Parameter elements: Not negative; as large as a template likes.
    func pay(elements: Int, of size: Int = MemoryLayout<Value>.stride) throws(Failure) {
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: size)
        try pay(bytes: overflow ? .max : bytes)
    }

    /// Sees that elements may be made for which a list pays then.
    func check(elements: Int) throws(Failure) {
        try pay(elements: elements)
        refund(elements * MemoryLayout<Value>.stride)
    }

    func refund(_ bytes: Int) { memory += bytes }

    /// - Throws: `Failure` if a text may not become as long.
    func check(length: Int) throws(Failure) {
        guard length <= limits.bytes else {
            throw Failure(kind: .limit, "a text is longer than \(limits.bytes) bytes")
        }
    }

    /// The most bytes that a text may have for which some are paid already.
    func longest(paid: Int) -> Int { min(limits.bytes, paid + memory) }

    /// - Throws: `Failure` if values may not be nested as deep, so that walking and releasing them would take much stack.
    func check(depth: Int) throws(Failure) {
        guard depth <= limits.depth else {
            throw Failure(kind: .limit, "values are nested deeper than \(limits.depth)")
        }
    }
}

/// Bytes that are given back when what they were paid for is released.
final class Lease {
    private let budget: Budget
    private let bytes: Int

    /// - Parameter bytes: Paid already.
    init(_ budget: Budget, bytes: Int) {
        self.budget = budget
        self.bytes = bytes
    }

    deinit { budget.refund(bytes) }
}

/// Bounds of one rendering, so that no template and no data can hang or exhaust a program.
public struct Limits: Sendable {
    /// Statements, expressions, iterations and calls; every 64 bytes of text that are read or made count as one more.
    public var steps: Int
    /// Calls of macros and recursive loops within each other, and lists, mappings and objects within each other.
    public var depth: Int
    /// Bytes of the output, and of any one text.
    public var bytes: Int
    /// Bytes of all that a rendering holds at once; small texts count until it ends.
    public var memory: Int

    public init(
        steps: Int = 100_000_000, depth: Int = 200, bytes: Int = 256 << 20, memory: Int = 512 << 20
    ) {
        self.steps = steps
        self.depth = depth
        self.bytes = bytes
        self.memory = memory
    }
}

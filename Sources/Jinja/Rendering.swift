/// One rendering under way: its output, its names and what is left of its bounds.
final class Rendering {
    /// What the template, or the macro or block that is captured, has written.
    private(set) var output: [UInt8] = []
    var frame: Frame
    /// The byte of the source that an error is about.
    var position = 0
    let environment: Environment
    /// Where tagged mappings were looped over, and `generation` blocks stood; both in bytes of the output.
    private(set) var marks = RenderedMarks()

    let budget: Budget
    private let limits: Limits
    private var captures = 0
    /// What empties objects and frames that may hold each other.
    private var releases: [() -> Void] = []

    init(_ frame: Frame, _ environment: Environment, _ limits: Limits) {
        self.frame = frame
        self.environment = environment
        self.limits = limits
        budget = Budget(limits)
    }

    // MARK: - Output

    func write(_ bytes: [UInt8]) throws(Failure) {
        guard output.count + bytes.count <= limits.bytes else {
            throw Failure(kind: .limit, "the output is longer than \(limits.bytes) bytes")
        }
        try budget.pay(bytes: bytes.count)
        output += bytes
    }

    func write(_ value: Value) throws(Failure) {
        switch value {
        case .string(let text), .markup(let text): try write(text.utf8)
        case .undefined: break
        default: try write(try value.printed(budget).utf8)
        }
    }

    /// What `body` writes.
    func capture(_ body: () throws(Failure) -> Void) throws(Failure) -> Text {
        var outer: [UInt8] = []
        swap(&output, &outer)
        captures += 1
        defer {
            swap(&output, &outer)
            captures -= 1
        }
        try body()
        // Written, it was paid for as a part of the output.
        budget.refund(output.count)
        return try budget.text(output)
    }

    // MARK: - Marks

    /// Notes that the element of a loop wrote what follows `start`.
    func markElement(_ element: Value, from start: Int) throws(Failure) {
        guard case .mapping(let mapping) = element, mapping.tag >= 0, captures == 0, output.count > start else {
            return
        }
        try budget.pay(bytes: Budget.overhead)
        marks.elements.append((mapping.tag, start..<output.count))
    }

    func markGeneration(from start: Int) throws(Failure) {
        try budget.pay(bytes: Budget.overhead)
        if captures > 0 {
            marks.hasHiddenGeneration = true
        } else {
            marks.generations.append(start..<output.count)
        }
    }

    // MARK: - What holds each other

    /// Has what may hold itself emptied when the rendering ends, before it is released.
    func hold(_ release: @escaping () -> Void) { releases.append(release) }

    /// Has a frame emptied when the rendering ends, as an object holds it that may be in it.
    func hold(_ frame: Frame) throws(Failure) {
        guard !frame.isHeld else { return }
        frame.isHeld = true
        try budget.pay(bytes: Budget.overhead)
        hold { frame.slots = [] }
    }

    /// Lets everything go, one after the other.
    func finish() {
        for release in releases { release() }
    }
}

/// Where in the output things are, in bytes.
public struct RenderedMarks {
    /// What the elements of loops wrote that are mappings with a tag, in order; an outer loop's after an inner one's.
    public var elements: [(tag: Int, range: Range<Int>)] = []
    /// What stood within `{% generation %}` and `{% endgeneration %}`.
    public var generations: [Range<Int>] = []
    /// Whether such a block was rendered where its position in the output is unknown, as within a macro.
    public var hasHiddenGeneration = false
}

/// What a template can ask of the world.
public struct Environment: Sendable {
    /// The seconds since 1970 that `strftime_now` writes in UTC; nil for the moment of rendering in local time.
    public var now: Int?

    public init(now: Int? = nil) { self.now = now }
}

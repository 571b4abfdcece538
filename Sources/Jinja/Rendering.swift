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

    private let limits: Limits
    private var steps: Int
    private var depth = 0
    private var captures = 0
    /// Frames and namespaces that may hold each other, to be emptied in the end.
    private var holders: [Frame] = []
    private var namespaces: [Namespace] = []

    init(_ frame: Frame, _ environment: Environment, _ limits: Limits) {
        self.frame = frame
        self.environment = environment
        self.limits = limits
        steps = limits.steps
    }

    // MARK: - Bounds

    func step() throws(Failure) {
        steps -= 1
        if steps < 0 {
            throw Failure(kind: .limit, "rendering takes more than \(limits.steps) steps")
        }
    }

    /// Counts text that is about to be made.
    func spend(bytes: Int) throws(Failure) {
        guard bytes <= limits.bytes else {
            throw Failure(kind: .limit, "a text is longer than \(limits.bytes) bytes")
        }
        steps -= bytes >> 6
        if steps < 0 { try step() }
    }

    /// Counts elements that are about to be made.
    func spend(elements: Int) throws(Failure) {
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: 64)
        try spend(bytes: overflow ? .max : bytes)
    }

    /// Does something within a call, of which there may be so many within each other.
    func nested<T>(_ body: () throws(Failure) -> T) throws(Failure) -> T {
        guard depth < limits.depth else {
            throw Failure(kind: .limit, "calls are nested deeper than \(limits.depth)")
        }
        depth += 1
        defer { depth -= 1 }
        return try body()
    }

    // MARK: - Output

    func write(_ bytes: [UInt8]) throws(Failure) {
        guard output.count + bytes.count <= limits.bytes else {
            throw Failure(kind: .limit, "the output is longer than \(limits.bytes) bytes")
        }
        output += bytes
    }

    func write(_ value: Value) throws(Failure) {
        switch value {
        case .string(let text), .markup(let text): try write(text.utf8)
        case .undefined: break
        default: try write(try value.printed().utf8)
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
        return Text(output)
    }

    // MARK: - Marks

    /// Notes that the element of a loop wrote what stands behind `start`.
    func markElement(_ element: Value, from start: Int) {
        guard case .mapping(let mapping) = element, mapping.tag >= 0, captures == 0, output.count > start else {
            return
        }
        marks.elements.append((mapping.tag, start..<output.count))
    }

    func markGeneration(from start: Int) {
        if captures > 0 {
            marks.hasHiddenGeneration = true
        } else {
            marks.generations.append(start..<output.count)
        }
    }

    // MARK: - What holds each other

    func hold(_ frame: Frame) { if holders.last !== frame { holders.append(frame) } }
    func hold(_ namespace: Namespace) { namespaces.append(namespace) }

    /// Lets everything go.
    func finish() {
        for holder in holders { holder.slots = [] }
        for namespace in namespaces { namespace.values = [] }
    }
}

/// Where in the output things are, in bytes.
public struct RenderedMarks {
    /// What the elements of loops wrote that are mappings with a tag, in order; an outer loop's behind an inner one's.
    public var elements: [(tag: Int, range: Range<Int>)] = []
    /// What stood within `{% generation %}` and `{% endgeneration %}`.
    public var generations: [Range<Int>] = []
    /// Whether such a block was rendered where its place in the output is unknown, as within a macro.
    public var hasHiddenGeneration = false
}

/// What a template can ask of the world.
public struct Environment: Sendable {
    /// The seconds since 1970 that `strftime_now` writes in UTC; nil for the moment of rendering in local time.
    public var now: Int?

    public init(now: Int? = nil) { self.now = now }
}

/// What decoding many sequences reads of their past: keys and values in pages that any of them may have, and the states
/// of layers that have one.
///
/// A sequence gets all pages that it can ever need when it begins, so that it never waits for one, and the cache never
/// grows: its memory is what it is made with.
final class PagedCache {
    /// For each layer; nil where a layer has no keys of its own.
    let layers: [KeyValuePages?]
    /// [slots, elements of a state] of layers that have one.
    private let states: [Int: Matrix]
    private let memory: FrozenWeights
    /// The pages of each slot's sequence, in order.
    private let tables: UnsafeMutablePointer<Int32>
    private let mostPages: Int
    private var pageCounts: [Int]
    private var freePages: [Int32]
    private var freeSlots: [Int]

    /// What a target's layers keep of a sequence.
    struct Shape {
        /// For each layer its key/value heads and their size; nil where it has no keys of its own.
        let heads: [(count: Int, size: Int)?]
        /// Numbers of the states of layers that have one.
        let states: [Int: Int]
        let precision: MatrixPrecision

        /// Bytes of a page in all layers.
        var pageBytes: Int {
            heads.reduce(0) { sum, heads in
                sum + (heads.map { KeyValuePages.pageBytes(numHeads: $0.count, headDim: $0.size, precision) } ?? 0)
            }
        }

        /// Bytes of a sequence's states.
        var stateBytes: Int { 4 * states.values.reduce(0, +) }

        /// Pages of a sequence of that many positions.
        static func pages(_ positions: Int) -> Int { (positions + KeyValuePages.size - 1) / KeyValuePages.size }
    }

    /// - Parameters:
    ///   - slots: Sequences at a time.
    ///   - pages: Pages of all sequences together.
    ///   - longest: Positions of the longest sequence.
    init(_ shape: Shape, slots: Int, pages: Int, longest: Int, _ compute: Compute) {
        let memory = FrozenWeights(compute)
        self.memory = memory
        layers = shape.heads.map { heads in
            heads.map { KeyValuePages(numHeads: $0.count, headDim: $0.size, pages: pages, memory) }
        }
        states = shape.states.mapValues { memory.matrix(rows: slots, columns: $0) }
        mostPages = Shape.pages(longest)
        tables = .allocate(capacity: max(1, slots * mostPages))
        pageCounts = [Int](repeating: 0, count: slots)
        freePages = (0..<Int32(pages)).reversed()
        freeSlots = (0..<slots).reversed()
    }

    deinit { tables.deallocate() }

    /// Begins a sequence of at most that many positions.
    ///
    /// - Returns: Its slot; nil if none, or too few pages, are free.
    func open(positions: Int) -> Int? {
        let count = Shape.pages(positions)
        precondition(count <= mostPages)
        guard count <= freePages.count, let slot = freeSlots.popLast() else { return nil }
        pageCounts[slot] = count
        for index in 0..<count { tables[slot * mostPages + index] = freePages.removeLast() }
        clearStates(of: slot)
        return slot
    }

    /// Whether layers have states, of which the past can't be taken back.
    var hasStates: Bool { !states.isEmpty }

    /// Lets a slot's sequence begin again.
    func clearStates(of slot: Int) {
        for state in states.values { state[rows: slot..<slot + 1].fill(0) }
    }

    /// Ends a slot's sequence.
    func close(_ slot: Int) {
        for index in (0..<pageCounts[slot]).reversed() { freePages.append(tables[slot * mostPages + index]) }
        pageCounts[slot] = 0
        freeSlots.append(slot)
    }

    var pagesInUse: Int { pageCounts.reduce(0, +) }

    /// The pages of a slot's sequence.
    func table(_ slot: Int) -> UnsafePointer<Int32> { UnsafePointer(tables + slot * mostPages) }

    /// The state of a layer, [1, elements].
    func state(_ slot: Int, layer: Int) -> Matrix? { states[layer]?[rows: slot..<slot + 1] }
}

/// Rows of many sequences, each with its past in a `PagedCache`.
struct PagedRows {
    let cache: PagedCache
    let runs: [PagedAttention.Run]
    /// The slot of each run's sequence.
    let slots: [Int]

    /// Some rows that continue a sequence.
    struct Continuation {
        let slot: Int
        let rows: Range<Int>
        /// Position of the first.
        let position: Int
    }

    init(_ cache: PagedCache, _ continuations: [Continuation]) {
        self.cache = cache
        runs = continuations.map {
            PagedAttention.Run(rows: $0.rows, position: $0.position, table: cache.table($0.slot))
        }
        slots = continuations.map(\.slot)
    }

    /// Adds the rows' keys and values to those of a layer.
    func append(_ new: Attention.KeyValue, layer: Int) {
        guard let pages = cache.layers[layer] else { preconditionFailure("a layer without keys of its own") }
        new.keys.compute.ranges(runs.count) { range in
            for run in runs[range] {
                for row in run.rows {
                    let position = run.position + row - run.rows.lowerBound
                    pages.write(
                        new.keys.row(row), new.values.row(row), page: run.table[position / KeyValuePages.size],
                        position: position % KeyValuePages.size)
                }
            }
        }
    }

    /// Attention of the rows over a layer's keys.
    func attend(
        _ queries: Matrix, _ attention: StreamingAttention, layer: Int, into attended: Matrix, in workspace: Workspace
    ) {
        guard let pages = cache.layers[layer] else { preconditionFailure("a layer without keys of its own") }
        PagedAttention(attention: attention, pages: pages).forward(queries, runs, into: attended, in: workspace)
    }
}

extension DecoderTargetModel {
    /// What a cache of this rank's part keeps of a sequence.
    var cacheShape: PagedCache.Shape {
        var states: [Int: Int] = [:]
        for (index, layer) in layers.enumerated() {
            if case .recurrent(let mixer) = layer.mixer { states[index] = mixer.stateCount }
        }
        return PagedCache.Shape(
            heads: layers.map { layer in
                guard let heads = layer.heads, heads.source == nil else { return nil }
                return (heads.keyValueWidth / heads.attention.headDim, heads.attention.headDim)
            }, states: states, precision: memory.compute.precision)
    }
}

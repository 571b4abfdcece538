import COneDNN
import Shared
import Synchronization

/// oneDNN's products with weights that are blocked already (`BlockedMatrix`).
///
/// They are cut into tiles, of whose sizes there is a kernel each, made when it is first needed. Rows of x come by eights,
/// the last ones with rows beside them that count for nothing.
final class BlockProducts: @unchecked Sendable {
    /// Most rows of x that a kernel multiplies, and of what they are a multiple: few enough kernels, whose making takes a
    /// third of a millisecond each.
    private static let (mostRows, unit) = (256, 8)
    /// Rows of a kernel where rows don't depend on each other: so a row is the same bit by bit whichever rows stand beside
    /// it, and however many.
    private static let independentRows = 64
    /// Most columns of y of a kernel, which with its rows fit into the cache.
    private static let width = 2 * BlockedMatrix.blockRows
    /// Elements of a weight that is read from the cache for one part of the rows after the other.
    private static let mostCached = 1 << 22
    /// Tiles of each thread, at least, where smaller ones give as many: so that threads end together.
    private static let leastRounds = 4

    private struct Shape: Hashable {
        let (rows, depth, columns): (Int, Int, Int)
        /// Whether it adds to what is there.
        var accumulates = false
    }

    /// A kernel, and what each thread runs it with; neither is freed.
    private struct Kernel: @unchecked Sendable {
        var product: onednn_block_product
        let calls: UnsafeMutablePointer<onednn_block_call>
    }

    private let engine: dnnl_engine_t?
    private let threads: Int
    private let hasIndependentRows: Bool
    private let kernels = Mutex<[Shape: Kernel?]>([:])
    /// For each thread, what a kernel gives.
    private let outputs: UnsafeMutablePointer<Float>

    /// - Parameter hasIndependentRows: Whether a row is to be the same bit by bit whichever rows stand beside it.
    init(threads: Int, hasIndependentRows: Bool) {
        (self.threads, self.hasIndependentRows) = (threads, hasIndependentRows)
        var engine: dnnl_engine_t?
        self.engine = dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success ? engine : nil
        outputs = allocateFloats(threads * Self.mostRows * Self.width)
    }

    /// Whether products with a weight of `depth` columns are faster where it is blocked.
    ///
    /// Of independent rows they are by AMX alone: a kernel of many rows for the sake of one takes several times as long
    /// without.
    func support(depth: Int) -> Bool {
        guard depth > 0, depth.isMultiple(of: 2) else { return false }
        let rows = hasIndependentRows ? [Self.independentRows] : [Self.unit, Self.mostRows]
        return [Self.width / 2, Self.width].allSatisfy { columns in
            rows.allSatisfy { rows in
                guard let kernel = kernel(Shape(rows: rows, depth: depth, columns: columns)) else { return false }
                return !hasIndependentRows || kernel.product.has_amx != 0
            }
        }
    }

    private func kernel(_ shape: Shape) -> Kernel? {
        kernels.withLock { kernels in
            if let known = kernels[shape] { return known }
            let made = make(shape)
            kernels[shape] = .some(made)
            return made
        }
    }

    private func make(_ shape: Shape) -> Kernel? {
        var product = onednn_block_product()
        // For more threads oneDNN would cut the depth of some, and add up in another order.
        omp_set_num_threads(1)
        guard let engine,
            onednn_block_product_make(
                engine, dnnl_dim_t(shape.rows), dnnl_dim_t(shape.depth), dnnl_dim_t(shape.columns),
                shape.accumulates ? 1 : 0, &product)
                == dnnl_success
        else { return nil }
        let calls = UnsafeMutablePointer<onednn_block_call>.allocate(capacity: threads)
        for thread in 0..<threads {
            calls[thread] = onednn_block_call()
            guard onednn_block_call_make(&product, calls + thread) == dnnl_success else { return nil }
        }
        return Kernel(product: product, calls: calls)
    }

    // MARK: - Tiles

    /// Rows of memory that x must have, for a number of its own.
    static func paddedRows(_ rows: Int) -> Int {
        roundedUp(rows, independentRows)
    }

    private static func roundedUp(_ count: Int, _ unit: Int) -> Int { parts(count, unit) * unit }

    /// Even parts of some rows, none of more than `most`.
    private func cutRows(_ count: Int, most: Int) -> [Range<Int>] {
        guard !hasIndependentRows else { return (0..<count).chunks(Self.independentRows) }
        let size = Self.parts(count, max(1, Self.parts(count, most)))
        return (0..<count).chunks(Self.roundedUp(size, Self.unit))
    }

    private func kernelRows(_ rows: Int) -> Int {
        hasIndependentRows ? Self.independentRows : Self.roundedUp(rows, Self.unit)
    }

    /// The parts of rows that threads multiply with the whole weight, right into an output without anything between its
    /// rows; nil where there are too few of them for a weight that the cache doesn't hold.
    private func cutWhole(_ rows: Int, _ weight: BlockedMatrix, threads: Int) -> [Range<Int>]? {
        guard !hasIndependentRows, weight.rows.isMultiple(of: BlockedMatrix.blockRows) else { return nil }
        let least = weight.rows * weight.columns <= Self.mostCached ? Self.mostRows / 4 : Self.mostRows
        // Several for each thread, as one that waits for its core would hold up the others.
        for rounds in [max(2, Self.parts(rows, threads * Self.mostRows)), 1] {
            let part = Self.roundedUp(Self.parts(rows, threads * rounds), Self.unit)
            if least...Self.mostRows ~= part { return (0..<rows).chunks(part) }
        }
        return nil
    }

    private static func parts(_ count: Int, _ size: Int) -> Int { (count + size - 1) / size }

    /// Tiles of an output for some threads: smaller ones where there would be few.
    func cut(_ rows: Int, _ columns: Int, threads: Int) -> (rows: [Range<Int>], columns: [Range<Int>]) {
        var parts = (cutRows(rows, most: Self.mostRows), (0..<columns).chunks(Self.width))
        func areFew() -> Bool { parts.0.count * parts.1.count < Self.leastRounds * threads }
        if areFew() { parts.0 = cutRows(rows, most: Self.mostRows / 4) }
        if areFew() { parts.1 = (0..<columns).chunks(Self.width / 2) }
        return parts
    }

    // MARK: - Products

    /// y = x Wᵀ, or y += x Wᵀ.
    ///
    /// x: [rows, in features], in memory for `paddedRows`, with nothing between rows.
    func multiply(_ x: BFloat16Matrix, _ weight: BlockedMatrix, into y: Matrix, accumulate: Bool) {
        let compute = y.compute
        let threads = compute.hasFixedCuts ? TileGrid.fixedThreads : compute.threads
        let what = { "\(y.rows) x \(x.columns) x \(y.columns)" }
        if y.stride == y.columns, let parts = cutWhole(y.rows, weight, threads: threads) {
            return compute.forEach(parts.count, what(), function: "product") { index, worker in
                let rows = parts[index]
                let shape = Shape(rows: rows.count, depth: x.columns, columns: y.columns, accumulates: accumulate)
                if rows.count.isMultiple(of: Self.unit), let kernel = kernel(shape) {
                    run(kernel, x.row(rows.lowerBound), weight.block(0), into: y.row(rows.lowerBound), worker)
                } else {
                    multiplyAlone(x[rows: rows], weight, into: y[rows: rows], accumulate: accumulate, worker: worker)
                }
            }
        }
        let parts = cut(y.rows, y.columns, threads: threads)
        compute.forEach(parts.rows.count * parts.columns.count, what(), function: "product") { index, worker in
            // All rows of x one after another, while the weight's blocks are in the cache.
            let (rows, columns) = (parts.rows[index % parts.rows.count], parts.columns[index / parts.rows.count])
            run(x, weight, rows, columns, into: y, accumulate, worker)
        }
    }

    /// The same on the calling thread, whose number is given; the weight may be some whole blocks of another one.
    func multiplyAlone(
        _ x: BFloat16Matrix, _ weight: BlockedMatrix, into y: Matrix, accumulate: Bool, worker: Int
    ) {
        let rows = cutRows(y.rows, most: Self.mostRows)
        for columns in (0..<y.columns).chunks(Self.width) {
            for rows in rows { run(x, weight, rows, columns, into: y, accumulate, worker) }
        }
    }

    private func run(
        _ x: BFloat16Matrix, _ weight: BlockedMatrix, _ rows: Range<Int>, _ columns: Range<Int>, into y: Matrix,
        _ accumulate: Bool, _ worker: Int
    ) {
        precondition(x.columns == weight.columns && x.stride == x.columns)
        precondition(y.rows == x.rows && y.columns == weight.rows)
        let width = Self.roundedUp(columns.count, BlockedMatrix.blockRows)
        guard let kernel = kernel(Shape(rows: kernelRows(rows.count), depth: x.columns, columns: width)) else {
            preconditionFailure("a blocked weight of \(x.columns) columns, for which oneDNN has no kernel")
        }
        let output = outputs + worker * Self.mostRows * Self.width
        run(
            kernel, x.row(rows.lowerBound), weight.block(columns.lowerBound / BlockedMatrix.blockRows), into: output,
            worker)
        for row in rows {
            let (source, target) = (output + (row - rows.lowerBound) * width, y.row(row) + columns.lowerBound)
            if accumulate {
                add(1, source, to: target, columns.count)
            } else {
                target.update(from: source, count: columns.count)
            }
        }
    }

    private func run(
        _ kernel: Kernel, _ x: UnsafeMutablePointer<UInt16>, _ weight: UnsafeMutablePointer<UInt16>,
        into y: UnsafeMutablePointer<Float>, _ worker: Int
    ) {
        precondition(worker < threads)
        var kernel = kernel
        omp_set_num_threads(1)
        let status = onednn_block_product_run(&kernel.product, kernel.calls + worker, x, weight, y)
        precondition(status == dnnl_success, "oneDNN refused a product of well-shaped operands")
    }
}

/// y = x Wᵀ, or y += x Wᵀ, of a weight that is blocked.
func multiply(_ x: Matrix, transposed weight: BlockedMatrix, into y: Matrix, accumulate: Bool = false) {
    guard let products = y.compute.blockProducts else { preconditionFailure("a blocked weight, and no products") }
    guard y.count > 0 else { return }
    y.compute.withRounded(x, inMemoryForRows: BlockProducts.paddedRows(x.rows)) {
        products.multiply($0, weight, into: y, accumulate: accumulate)
    }
}

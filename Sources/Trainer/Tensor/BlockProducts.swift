import COneDNN
import Shared
import Synchronization

/// oneDNN's products with weights that are blocked already (`BlockedMatrix`).
///
/// Each runs over the same number of rows of x, the last ones with rows beside them that count for nothing: so a row is
/// the same bit by bit whichever rows stand beside it, and however many.
final class BlockProducts: @unchecked Sendable {
    /// Rows of x in a product.
    static let rows = 64
    /// Most columns of y in a product, which with its rows fit into the first-level cache.
    private static let columns = 2 * BlockedMatrix.blockRows

    private struct Shape: Hashable {
        let (depth, columns): (Int, Int)
    }

    /// A product, and what each thread runs it with; neither is freed.
    private struct Product: @unchecked Sendable {
        var product: onednn_block_product
        let calls: UnsafeMutablePointer<onednn_block_call>
    }

    private let engine: dnnl_engine_t?
    private let threads: Int
    private let products = Mutex<[Shape: Product?]>([:])
    /// For each thread, what a product gives.
    private let outputs: UnsafeMutablePointer<Float>

    init(threads: Int) {
        self.threads = threads
        var engine: dnnl_engine_t?
        self.engine = dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success ? engine : nil
        outputs = .allocate(capacity: threads * Self.rows * Self.columns)
    }

    /// Whether oneDNN has kernels for weights of `depth` columns, as they are blocked.
    func support(depth: Int) -> Bool {
        [1, 2].allSatisfy { product(Shape(depth: depth, columns: $0 * BlockedMatrix.blockRows)) != nil }
    }

    private func product(_ shape: Shape) -> Product? {
        products.withLock { products in
            if let known = products[shape] { return known }
            let made = make(shape)
            products[shape] = .some(made)
            return made
        }
    }

    private func make(_ shape: Shape) -> Product? {
        var product = onednn_block_product()
        // For more threads oneDNN would cut the depth of some, and add up in another order.
        omp_set_num_threads(1)
        guard let engine,
            onednn_block_product_make(
                engine, dnnl_dim_t(Self.rows), dnnl_dim_t(shape.depth), dnnl_dim_t(shape.columns), &product)
                == dnnl_success
        else { return nil }
        let calls = UnsafeMutablePointer<onednn_block_call>.allocate(capacity: threads)
        for thread in 0..<threads {
            calls[thread] = onednn_block_call()
            guard onednn_block_call_make(&product, calls + thread) == dnnl_success else { return nil }
        }
        return Product(product: product, calls: calls)
    }

    /// y = x Wᵀ, or y += x Wᵀ.
    ///
    /// x: [rows, in features], in memory for a multiple of `rows`, with nothing between them.
    func multiply(_ x: BFloat16Matrix, _ weight: BlockedMatrix, into y: Matrix, accumulate: Bool) {
        precondition(x.columns == weight.columns && x.stride == x.columns)
        precondition(y.rows == x.rows && y.columns == weight.rows)
        let tiles = (y.rows + Self.rows - 1) / Self.rows
        let groups = (weight.rows + Self.columns - 1) / Self.columns
        y.compute.forEach(tiles * groups, "\(y.rows) x \(x.columns) x \(y.columns)", function: "product") {
            index, worker in
            // All rows of x one after another, while the weight's blocks are in the cache.
            let (first, row) = (index / tiles * Self.columns, index % tiles * Self.rows)
            let block = weight.block(first / BlockedMatrix.blockRows)
            let output = y[rows: row..<min(row + Self.rows, y.rows)][
                columns: first..<min(first + Self.columns, weight.rows)]
            run(x.row(row), x.columns, block, into: output, accumulate, worker)
        }
    }

    private func run(
        _ x: UnsafeMutablePointer<UInt16>, _ depth: Int, _ block: UnsafeMutablePointer<UInt16>, into y: Matrix,
        _ accumulate: Bool, _ worker: Int
    ) {
        let columns = (y.columns + BlockedMatrix.blockRows - 1) / BlockedMatrix.blockRows * BlockedMatrix.blockRows
        guard var product = product(Shape(depth: depth, columns: columns)) else {
            preconditionFailure("a blocked weight of \(depth) columns, for which oneDNN has no kernel")
        }
        let output = outputs + worker * Self.rows * Self.columns
        omp_set_num_threads(1)
        let status = onednn_block_product_run(&product.product, product.calls + worker, x, block, output)
        precondition(status == dnnl_success, "oneDNN refused a product of well-shaped operands")
        for row in 0..<y.rows {
            let source = output + row * columns
            if accumulate {
                add(1, source, to: y.row(row), y.columns)
            } else {
                y.row(row).update(from: source, count: y.columns)
            }
        }
    }
}

import COpenBLAS
import Glibc
import Shared

/// Matrix products: by OpenBLAS or oneDNN in float32 (`GEMMLibrary`), by oneDNN in bfloat16.
///
/// A product is cut into tiles for the threads (`TileGrid`), and each tile is one single-threaded call. The libraries'
/// own threads stay off: they would spin on the cores that other loops use.
enum BLAS {
    /// Turns OpenBLAS's own threads off: once, before the first product.
    static func prepare() { openblas_set_num_threads(1) }

    /// The kernels that OpenBLAS chose for this CPU.
    static var coreName: String { String(cString: openblas_get_corename()) }

    /// The setting of the environment that holds OpenBLAS to AVX2 on a CPU that has AVX-512, if there is one.
    ///
    /// By itself OpenBLAS takes AVX-512 kernels there, which reach about 1.6 times the speed.
    static var narrowingSetting: String? {
        guard Machine.hasAVX512, ["Haswell", "Zen"].contains(coreName), let value = getenv("OPENBLAS_CORETYPE") else {
            return nil
        }
        return "OPENBLAS_CORETYPE=\(String(cString: value))"
    }

    /// c = scale op(a) op(b), or c += scale op(a) op(b), in float32 on the calling thread.
    static func product(
        _ a: Matrix, transposed isATransposed: Bool, _ b: Matrix, transposed isBTransposed: Bool, into c: Matrix,
        scale: Float = 1, accumulate: Bool
    ) {
        guard c.count > 0 else { return }
        let k = isATransposed ? a.rows : a.columns
        guard k > 0 else { return accumulate ? () : c.fill(0) }
        if c.compute.gemmLibrary == .onednn {
            return oneDNNProduct(a, isATransposed, b, isBTransposed, c, scale: scale, accumulate: accumulate)
        }
        cblas_sgemm(
            CblasRowMajor, isATransposed ? CblasTrans : CblasNoTrans, isBTransposed ? CblasTrans : CblasNoTrans,
            Int32(c.rows), Int32(c.columns), Int32(k), scale, a.start, Int32(a.stride), b.start, Int32(b.stride),
            accumulate ? 1 : 0, c.start, Int32(c.stride))
    }
}

/// c = a bᵀ, or c += a bᵀ.
///
/// a: [m, k], b: [n, k], c: [m, n].
func multiply(_ a: Matrix, transposed b: Matrix, into c: Matrix, accumulate: Bool = false) {
    precondition(a.columns == b.columns && c.rows == a.rows && c.columns == b.rows)
    guard c.rows > FewRows.most else { return FewRows.multiply(a, b, into: c, accumulate: accumulate) }
    multiply(a, transposed: false, b, transposed: true, into: c, accumulate: accumulate)
}

/// c = a bᵀ, or c += a bᵀ, of a weight that is bfloat16 already.
///
/// a: [m, k], b: [n, k], c: [m, n].
func multiply(_ a: Matrix, transposed b: BFloat16Matrix, into c: Matrix, accumulate: Bool = false) {
    precondition(a.columns == b.columns && c.rows == a.rows && c.columns == b.rows)
    guard c.rows > FewRows.most else { return FewRows.multiply(a, b, into: c, accumulate: accumulate) }
    guard c.count > 0 else { return }
    guard a.count > 0 else { return accumulate ? () : c.fill(0) }
    c.compute.withRounded(a) { multiply($0, transposed: false, b, transposed: true, into: c, accumulate: accumulate) }
}

/// c = op(a) op(b), or c += op(a) op(b), of operands that are bfloat16 already.
func multiply(
    _ a: BFloat16Matrix, transposed isATransposed: Bool, _ b: BFloat16Matrix, transposed isBTransposed: Bool,
    into c: Matrix, accumulate: Bool
) {
    // A piece of which no row learns has a product without rows.
    guard c.count > 0 else { return }
    guard (isATransposed ? a.rows : a.columns) > 0 else { return accumulate ? () : c.fill(0) }
    split(c, depth: isATransposed ? a.rows : a.columns) { rows, columns in
        BLAS.product(
            isATransposed ? a[columns: rows] : a[rows: rows], transposed: isATransposed,
            isBTransposed ? b[rows: columns] : b[columns: columns], transposed: isBTransposed,
            into: c[rows: rows][columns: columns], accumulate: accumulate)
    }
}

/// c = a b, or c += a b.
///
/// a: [m, k], b: [k, n], c: [m, n].
func multiply(_ a: Matrix, _ b: Matrix, into c: Matrix, accumulate: Bool = false) {
    precondition(a.columns == b.rows && c.rows == a.rows && c.columns == b.columns)
    multiply(a, transposed: false, b, transposed: false, into: c, accumulate: accumulate)
}

/// c = aᵀ b, or c += aᵀ b.
///
/// a: [k, m], b: [k, n], c: [m, n].
func multiply(transposed a: Matrix, _ b: Matrix, into c: Matrix, accumulate: Bool = false) {
    precondition(a.rows == b.rows && c.rows == a.columns && c.columns == b.columns)
    multiply(a, transposed: true, b, transposed: false, into: c, accumulate: accumulate)
}

/// c = op(a) op(b), or c += op(a) op(b).
func multiply(
    _ a: Matrix, transposed isATransposed: Bool, _ b: Matrix, transposed isBTransposed: Bool, into c: Matrix,
    accumulate: Bool
) {
    guard c.count > 0 else { return }
    guard a.count > 0 else { return accumulate ? () : c.fill(0) }
    split(c, depth: isATransposed ? a.rows : a.columns) { rows, columns in
        BLAS.product(
            isATransposed ? a[columns: rows] : a[rows: rows], transposed: isATransposed,
            isBTransposed ? b[rows: columns] : b[columns: columns], transposed: isBTransposed,
            into: c[rows: rows][columns: columns], accumulate: accumulate)
    }
}

/// c = a bᵀ, or c += a bᵀ, of operands of one precision, `depth` columns each.
func multiply(_ a: Operand, transposed b: Operand, depth: Int, into c: Matrix, accumulate: Bool) {
    split(c, depth: depth) { rows, columns in
        BLAS.product(
            a[rows: rows], transposed: false, b[rows: columns], transposed: true, into: c[rows: rows][columns: columns],
            accumulate: accumulate)
    }
}

/// Cuts an output into tiles, which threads take as they become free.
private func split(_ c: Matrix, depth: Int, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void) {
    let compute = c.compute
    let grid = TileGrid(c.rows, c.columns, threads: compute.hasFixedCuts ? TileGrid.fixedThreads : compute.threads)
    compute.forEach(grid.count, "\(c.rows) x \(depth) x \(c.columns)", function: "product") { index, _ in
        let tile = grid[index]
        body(tile.rows, tile.columns)
    }
}

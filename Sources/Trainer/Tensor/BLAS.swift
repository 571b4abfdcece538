import COneDNN
import COpenBLAS
import Glibc
import Shared

/// Matrix products: by OpenBLAS in float32, by oneDNN in bfloat16.
///
/// A product is cut along its longer output side into one piece for each thread, and each piece is one
/// single-threaded call. The libraries' own threads stay off: they would spin on the cores that other loops use.
enum BLAS {
    /// Turns OpenBLAS's own threads off: once, before the first product.
    static func prepare() { openblas_set_num_threads(1) }

    /// The kernels that OpenBLAS chose for this CPU.
    static var coreName: String { String(cString: openblas_get_corename()) }

    /// The library of the products in the current precision.
    static var name: String {
        switch MatrixPrecision.current {
        case .float32: "OpenBLAS \(coreName)"
        case .bfloat16: "oneDNN \(DNNL_VERSION_MAJOR).\(DNNL_VERSION_MINOR)"
        }
    }

    /// The setting of the environment that holds OpenBLAS to AVX2 on a CPU that has AVX-512, if there is one.
    ///
    /// By itself OpenBLAS takes AVX-512 kernels there, which reach about 1.6 times the speed.
    static var narrowingSetting: String? {
        guard Machine.hasAVX512, ["Haswell", "Zen"].contains(coreName), let value = getenv("OPENBLAS_CORETYPE") else {
            return nil
        }
        return "OPENBLAS_CORETYPE=\(String(cString: value))"
    }

    // Products on the calling thread, for loops that are already spread over threads.

    /// c = scale a bᵀ.
    ///
    /// Shapes as in `multiply(_:transposed:into:)`.
    static func product(_ a: Matrix, transposed b: Matrix, into c: Matrix, scale: Float = 1) {
        sgemm(CblasNoTrans, CblasTrans, a, b, c, k: a.columns, scale: scale, accumulate: false)
    }

    /// c = a b.
    static func product(_ a: Matrix, _ b: Matrix, into c: Matrix) {
        sgemm(CblasNoTrans, CblasNoTrans, a, b, c, k: a.columns, accumulate: false)
    }

    /// c += aᵀ b, or c = aᵀ b.
    static func product(transposed a: Matrix, _ b: Matrix, into c: Matrix, accumulate: Bool) {
        sgemm(CblasTrans, CblasNoTrans, a, b, c, k: a.rows, accumulate: accumulate)
    }
}

/// c = a bᵀ, or c += a bᵀ.
///
/// a: [m, k], b: [n, k], c: [m, n].
func multiply(_ a: Matrix, transposed b: Matrix, into c: Matrix, accumulate: Bool = false) {
    precondition(a.columns == b.columns && c.rows == a.rows && c.columns == b.rows)
    guard c.rows > fewRows else { return multiplyFew(a, b, into: c, accumulate: accumulate) }
    multiply(a, transposed: false, b, transposed: true, into: c, accumulate: accumulate)
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
    accumulate: Bool, precision: MatrixPrecision = .current
) {
    guard c.count > 0 else { return }
    guard a.count > 0 else { return accumulate ? () : c.fill(0) }
    switch precision {
    case .float32:
        let k = isATransposed ? a.rows : a.columns
        split(c) { rows, columns in
            sgemm(
                isATransposed ? CblasTrans : CblasNoTrans, isBTransposed ? CblasTrans : CblasNoTrans,
                isATransposed ? a[columns: rows] : a[rows: rows],
                isBTransposed ? b[rows: columns] : b[columns: columns], c[rows: rows][columns: columns], k: k,
                accumulate: accumulate)
        }
    case .bfloat16:
        RoundedOperands.with(a, b) { a, b in
            split(c) { rows, columns in
                BLAS.product(
                    isATransposed ? a[columns: rows] : a[rows: rows], transposed: isATransposed,
                    isBTransposed ? b[rows: columns] : b[columns: columns], transposed: isBTransposed,
                    into: c[rows: rows][columns: columns], accumulate: accumulate)
            }
        }
    }
}

/// Rows of activations up to which a product is one of vectors.
private let fewRows = 8

/// y = x Wᵀ, or y += x Wᵀ, for a few rows of activations, as decoding has them.
///
/// Each piece of W, small enough to stay in the cache, is multiplied with every row by the same call. So W is read
/// once, and a row's numbers are the same bit by bit whichever rows stand beside it: a verification of drafted tokens
/// computes what decoding them one by one would.
private func multiplyFew(_ x: Matrix, _ weight: Matrix, into y: Matrix, accumulate: Bool) {
    let pieceRows = max(16, 32_768 / max(1, weight.columns) & ~15)
    Parallel.ranges(weight.rows, atLeast: 1 + 65_536 / max(1, weight.columns)) { range in
        for first in stride(from: range.lowerBound, to: range.upperBound, by: pieceRows) {
            let count = min(pieceRows, range.upperBound - first)
            for row in 0..<y.rows {
                cblas_sgemv(
                    CblasRowMajor, CblasNoTrans, Int32(count), Int32(weight.columns), 1, weight.row(first),
                    Int32(weight.stride), x.row(row), 1, accumulate ? 1 : 0, y.row(row) + first, 1)
            }
        }
    }
}

/// Cuts the longer side of an output into a piece for each thread.
private func split(_ c: Matrix, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void) {
    if c.rows >= c.columns {
        Parallel.ranges(c.rows, atLeast: 32) { body($0, 0..<c.columns) }
    } else {
        Parallel.ranges(c.columns, atLeast: 32) { body(0..<c.rows, $0) }
    }
}

private func sgemm(
    _ transposeA: CBLAS_TRANSPOSE, _ transposeB: CBLAS_TRANSPOSE, _ a: Matrix, _ b: Matrix, _ c: Matrix, k: Int,
    scale: Float = 1, accumulate: Bool
) {
    guard c.rows > 0, c.columns > 0 else { return }
    guard k > 0 else { return accumulate ? () : c.fill(0) }
    cblas_sgemm(
        CblasRowMajor, transposeA, transposeB, Int32(c.rows), Int32(c.columns), Int32(k), scale, a.start,
        Int32(a.stride),
        b.start, Int32(b.stride), accumulate ? 1 : 0, c.start, Int32(c.stride))
}

/// The nearest orthogonal matrix to another, roughly: U Vᵀ of its U S Vᵀ, with singular values of about 0.7 to 1.2.
///
/// Five steps of a Newton-Schulz iteration of degree 5 (Jordan et al. 2024; the coefficients are theirs):
///
///     X = X / ‖X‖        X = a X + (b A + c A²) X  with A = X Xᵀ
///
/// All singular values go through the polynomial a s + b s³ + c s⁵, and the vectors stay. Where there are more rows than
/// columns A is Xᵀ X and stands on the other side, so that it is of the shorter side's size.
enum Orthogonalization {
    static let steps = 5
    static let (a, b, c): (Float, Float, Float) = (3.4445, -4.7750, 2.0315)

    /// FLOP of a matrix's products, about: the two symmetric ones are computed by half.
    static func work(rows: Int, columns: Int) -> Double {
        let (short, long) = (Double(min(rows, columns)), Double(max(rows, columns)))
        return Double(steps) * (3 * short * short * long + short * short * short)
    }

    /// Elements that are taken of a workspace.
    static func scratch(rows: Int, columns: Int, _ precision: MatrixPrecision) -> Int {
        let short = min(rows, columns)
        return rows * columns + 2 * short * short + Operand.floats(rows: rows, columns: columns, precision)
    }

    /// - Parameter x: Overwritten.
    /// - Returns: The result, in `x`'s memory or in `workspace`.
    static func orthogonalize(_ x: Matrix, in workspace: Workspace) -> Matrix {
        let isTall = x.rows > x.columns
        let side = min(x.rows, x.columns)
        let (gram, polynomial) = (
            workspace.matrix(rows: side, columns: side), workspace.matrix(rows: side, columns: side)
        )
        var (from, to) = (x, workspace.matrix(rows: x.rows, columns: x.columns))
        scale(x, by: Float(1 / max(norm(x), 1e-7)))
        for _ in 0..<steps {
            multiplyByTranspose(from, isTall: isTall, into: gram, in: workspace)
            multiplyByTranspose(gram, isTall: false, into: polynomial, in: workspace)
            combine(gram, into: polynomial)
            if isTall {
                multiplyRounded(from, polynomial, into: to)
            } else {
                multiplyRounded(polynomial, from, into: to)
            }
            swap(&from, &to)
        }
        return from
    }

    /// z = x y in the precision of products.
    private static func multiplyRounded(_ x: Matrix, _ y: Matrix, into z: Matrix) {
        guard z.compute.precision == .bfloat16 else { return multiply(x, y, into: z) }
        z.compute.withRounded(x, y) {
            multiply($0, transposed: false, $1, transposed: false, into: z, accumulate: false)
        }
    }

    /// Rows of a tile of a symmetric product, about, and the most tiles on its diagonal.
    private static let (tileRows, mostTiles) = (128, 16)

    /// z = x xᵀ, or xᵀ x, in the precision of products: tiles on and below the diagonal, and copies of these above.
    private static func multiplyByTranspose(_ x: Matrix, isTall: Bool, into z: Matrix, in workspace: Workspace) {
        let count = max(1, min(mostTiles, z.rows / tileRows))
        let tiles = (0..<count).flatMap { row in
            (0...row).map { (shard(z.rows, rank: row, of: count), shard(z.rows, rank: $0, of: count)) }
        }
        workspace.scope {
            let operand = Operand(x, z.compute.precision, in: workspace)
            let part = { (range: Range<Int>) in isTall ? operand[columns: range] : operand[rows: range] }
            z.compute.forEach(tiles.count) { tile, _ in
                let (rows, columns) = tiles[tile]
                let product = z[rows: rows][columns: columns]
                BLAS.product(part(rows), transposed: isTall, part(columns), transposed: !isTall, into: product)
                guard rows != columns else { return }
                for row in rows {
                    for column in columns { z[column, row] = z[row, column] }
                }
            }
        }
    }

    /// p = a I + b A + c p, so that one product with it is a step.
    private static func combine(_ gram: Matrix, into polynomial: Matrix) {
        let (linear, square) = (Vector(repeating: b), Vector(repeating: c))
        gram.compute.rows(gram.rows, of: gram.columns) { range in
            for row in range {
                let (x, p, count) = (gram.row(row), polynomial.row(row), gram.columns)
                for i in stride(from: 0, to: count, by: 16) {
                    p.store(linear * x.load(i, of: count) + square * p.load(i, of: count), i, of: count)
                }
                p[row] += a
            }
        }
    }

    /// ‖x‖, by the rows' sums in their order.
    private static func norm(_ x: Matrix) -> Double {
        let sums = [Double](unsafeUninitializedCapacity: x.rows) { sums, count in
            nonisolated(unsafe) let sums = sums
            x.compute.rows(x.rows, of: x.columns) { range in
                for row in range { sums[row] = Double(dot(x.row(row), x.row(row), x.columns)) }
            }
            count = x.rows
        }
        return sums.reduce(0, +).squareRoot()
    }

    private static func scale(_ x: Matrix, by factor: Float) {
        x.compute.rows(x.rows, of: x.columns) { range in
            for row in range { Trainer.scale(x.row(row), by: factor, x.columns) }
        }
    }
}

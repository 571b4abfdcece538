/// Products with weights whose rows don't depend on each other: each is the same bit by bit whichever rows stand beside
/// it, and however many they are (`Compute.hasIndependentRows`).
///
/// In float32 they are those of `FewRows`, whatever the number of rows. In bfloat16 they are oneDNN's, which adds up
/// each number in one order, by the depth alone, as long as there is more than one row and more than one column: for
/// those it has other kernels. So one row comes with a second one, and one column is `FewRows`'s. Of weights that are
/// blocked, products are of one number of rows (`BlockProducts`).
enum IndependentRows {
    /// y = x Wᵀ, or y += x Wᵀ.
    static func multiply(_ x: Matrix, _ weight: BFloat16Matrix, into y: Matrix, accumulate: Bool) {
        guard y.count > 0 else { return }
        guard weight.rows > 1, x.columns > 0 else {
            return FewRows.multiply(x, weight, into: y, accumulate: accumulate)
        }
        withTwoRows(x, y) { x, y in
            y.compute.withRounded(x) {
                Trainer.multiply($0, transposed: false, weight, transposed: true, into: y, accumulate: accumulate)
            }
        }
    }

    /// y = x Wᵀ, or y += x Wᵀ, of a weight that is packed: by the same panels for any number of rows.
    static func multiply(_ x: Matrix, _ weight: PackedMatrix, into y: Matrix, accumulate: Bool) {
        guard y.count > 0 else { return }
        guard y.compute.precision == .bfloat16, weight.rows > 1, x.columns > 0 else {
            return FewRows.multiply(x, weight, into: y, accumulate: accumulate)
        }
        withTwoRows(x, y) { x, y in
            y.compute.withRounded(x) {
                Trainer.multiply(.bfloat16($0), byPanelsOf: weight, into: y, accumulate: accumulate)
            }
        }
    }

    /// Runs `body` with x and y, and where they are one row with copies of two rows, the second one zero.
    private static func withTwoRows(_ x: Matrix, _ y: Matrix, _ body: (_ x: Matrix, _ y: Matrix) -> Void) {
        guard x.rows == 1 else { return body(x, y) }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * (x.columns + y.columns)) { buffer in
            guard let start = buffer.baseAddress else { return }
            start.update(repeating: 0, count: buffer.count)
            let input = Matrix(start: start, rows: 2, columns: x.columns, x.compute)
            let output = Matrix(start: start + 2 * x.columns, rows: 2, columns: y.columns, y.compute)
            input.row(0).update(from: x.row(0), count: x.columns)
            output.row(0).update(from: y.row(0), count: y.columns)
            body(input, output)
            y.row(0).update(from: output.row(0), count: y.columns)
        }
    }
}

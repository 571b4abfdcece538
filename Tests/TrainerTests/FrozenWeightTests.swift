import Shared
import Testing

@testable import Trainer

struct FrozenWeightTests {
    private let workspace = Workspace()
    private let memory = FrozenWeights()

    private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        var numbers = RandomNumbers(seed: seed)
        let matrix = workspace.matrix(rows: rows, columns: columns)
        numbers.fill(matrix)
        return matrix
    }

    /// A weight, and its numbers as they are held.
    private func weight(_ numbers: Matrix, _ precision: MatrixPrecision) -> (FrozenWeight, held: (Int, Int) -> Float) {
        let weight = memory.weight(rows: numbers.rows, columns: numbers.columns, precision)
        for row in 0..<numbers.rows { for i in 0..<numbers.columns { weight.set(row, i, numbers[row, i]) } }
        let rounds = precision == .bfloat16
        return (weight, { rounds ? BFloat16.float(BFloat16.bits(numbers[$0, $1])) : numbers[$0, $1] })
    }

    /// A row of a few is bit by bit what it is alone: a verification of drafted tokens computes what decoding would.
    @Test(
        arguments: [(1, 1, 1), (3, 17, 31), (5, 100, 577), (8, 33, 64), (6, 5000, 24), (8, 600, 129)],
        MatrixPrecision.allCases)
    func fewRowsEqualSumsInDouble(shape: (m: Int, n: Int, k: Int), precision: MatrixPrecision) {
        let (x, numbers) = (random(shape.m, shape.k, seed: 5), random(shape.n, shape.k, seed: 6))
        let (weight, held) = weight(numbers, precision)
        let wanted = (0..<shape.m).flatMap { row in
            (0..<shape.n).map { column in
                Float((0..<shape.k).reduce(0.0) { $0 + Double(x[row, $1]) * Double(held(column, $1)) })
            }
        }
        let y = workspace.matrix(rows: shape.m, columns: shape.n)
        for factor: Float in [1, 2] {
            weight.apply(x, into: y, accumulate: factor > 1)
            expectClose(y.elements, wanted.map { factor * $0 }, tolerance: 1e-5, "\(factor) x Wᵀ")
        }
        for row in 0..<shape.m {
            let alone = workspace.zeros(rows: 1, columns: shape.n)
            for _ in 0..<2 { weight.apply(x[rows: row..<row + 1], into: alone, accumulate: true) }
            #expect(alone.elements == y[rows: row..<row + 1].elements)
        }
    }

    @Test func manyRowsOfAFloat32WeightStayFloat32() {
        let (x, numbers) = (random(40, 70, seed: 1), random(33, 70, seed: 2))
        let y = workspace.matrix(rows: 40, columns: 33)
        weight(numbers, .float32).0.apply(x, into: y)
        let wanted = (0..<40).flatMap { row in
            (0..<33).map { column in
                Float((0..<70).reduce(0.0) { $0 + Double(x[row, $1]) * Double(numbers[column, $1]) })
            }
        }
        expectClose(y.elements, wanted, tolerance: 1e-6, "x Wᵀ")
    }

    @Test(arguments: MatrixPrecision.allCases)
    func rowsAreThoseThatWereSet(precision: MatrixPrecision) {
        let (weight, held) = weight(random(20, 9, seed: 3), precision)
        var row = [Float](repeating: 0, count: 9)
        for (part, first) in [(weight, 0), (weight[rows: 7..<19], 7)] {
            for index in 0..<part.rows {
                part.copyRow(index, into: &row)
                #expect(row == (0..<9).map { held(first + index, $0) })
            }
        }
    }
}

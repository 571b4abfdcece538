import Shared
import Testing

@testable import Trainer

/// Products against sums in double precision, and what decoding relies on.
struct BLASTests {
    private let workspace = Workspace()

    private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        var numbers = RandomNumbers(seed: seed)
        let wide = workspace.matrix(rows: rows, columns: columns + 3)
        numbers.fill(wide)
        return wide[columns: 1..<columns + 1]
    }

    private func expected(_ m: Int, _ n: Int, _ k: Int, _ term: (Int, Int, Int) -> Double) -> [Float] {
        (0..<m).flatMap { i in (0..<n).map { j in Float((0..<k).reduce(0.0) { $0 + term(i, j, $1) }) } }
    }

    @Test(arguments: [(1, 1, 1), (1, 70, 33), (6, 200, 64), (8, 17, 9), (9, 17, 9), (70, 33, 129), (130, 257, 40)])
    func allThreeTranspositionsEqualSumsInDouble(m: Int, n: Int, k: Int) {
        let (a, b) = (random(m, k, seed: 1), random(n, k, seed: 2))
        let wanted = expected(m, n, k) { Double(a[$0, $2]) * Double(b[$1, $2]) }
        let c = workspace.matrix(rows: m, columns: n)
        multiply(a, transposed: b, into: c)
        expectClose(c.elements, wanted, tolerance: 1e-5, "a bᵀ")
        multiply(a, transposed: b, into: c, accumulate: true)
        expectClose(c.elements, wanted.map { 2 * $0 }, tolerance: 1e-5, "a bᵀ, added")
        let d = workspace.matrix(rows: m, columns: k)
        multiply(c, b, into: d)
        expectClose(
            d.elements, expected(m, k, n) { Double(c[$0, $2]) * Double(b[$2, $1]) }, tolerance: 1e-5, "c b")
        let e = workspace.matrix(rows: n, columns: k)
        multiply(transposed: c, a, into: e)
        expectClose(
            e.elements, expected(n, k, m) { Double(c[$2, $0]) * Double(a[$2, $1]) }, tolerance: 1e-5, "cᵀ a")
    }

    /// Every library's kernels, with rows of any distance; `auto` is the one that training takes here.
    @Test(
        arguments: GEMMLibrary.allCases, [(1, 1, 1), (9, 17, 9), (70, 33, 129), (130, 257, 40), (31, 2049, 65)])
    func bothLibrariesEqualSumsInDouble(library: GEMMLibrary, shape: (m: Int, n: Int, k: Int)) {
        let (m, n, k) = shape
        for (isATransposed, isBTransposed) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = isATransposed ? random(k, m, seed: 1) : random(m, k, seed: 1)
            let b = isBTransposed ? random(n, k, seed: 2) : random(k, n, seed: 2)
            let wanted = expected(m, n, k) {
                Double(isATransposed ? a[$2, $0] : a[$0, $2]) * Double(isBTransposed ? b[$1, $2] : b[$2, $1])
            }
            let results = Workspace(Compute(library: library))
            let c = results.matrix(rows: m, columns: n)
            for factor: Float in [1, 2] {
                multiply(
                    a, transposed: isATransposed, b, transposed: isBTransposed, into: c, accumulate: factor > 1)
                expectClose(c.elements, wanted.map { factor * $0 }, tolerance: 1e-5, "\(factor) a b")
            }
        }
    }

    /// bfloat16 has products of 16 bits: exact in float32 once the operands are rounded, which `rounded` does here.
    @Test(
        .needsBFloat16,
        arguments: [(1, 1, 1), (9, 17, 9), (70, 33, 129), (130, 257, 40), (31, 2048, 65)],
        [(false, false), (false, true), (true, false), (true, true)])
    func bfloat16ProductsEqualSumsOfRoundedOperands(shape: (m: Int, n: Int, k: Int), transposed: (a: Bool, b: Bool)) {
        let (m, n, k) = shape
        let a = transposed.a ? random(k, m, seed: 1) : random(m, k, seed: 1)
        let b = transposed.b ? random(n, k, seed: 2) : random(k, n, seed: 2)
        let rounded = { (x: Float) in Double(BFloat16.float(BFloat16.bits(x))) }
        let wanted = expected(m, n, k) {
            rounded(transposed.a ? a[$2, $0] : a[$0, $2]) * rounded(transposed.b ? b[$1, $2] : b[$2, $1])
        }
        let c = workspace.matrix(rows: m, columns: n)
        for factor: Float in [1, 2] {
            c.compute.withRounded(a, b) { a, b in
                multiply(
                    a, transposed: transposed.a, b, transposed: transposed.b, into: c, accumulate: factor > 1)
            }
            expectClose(c.elements, wanted.map { factor * $0 }, tolerance: 1e-5, "\(factor) a b")
        }
    }

    /// Each number is the same sum, whichever rows of x stand beside it.
    @Test(arguments: [(1, 1), (3, 31), (7, 32), (8, 33), (13, 47), (1000, 577)], [true, false])
    func aRowOfAFewIsWhatItIsAlone(shape: (outputs: Int, inputs: Int), isRounded: Bool) {
        let (n, k) = shape
        let (x, weight) = (random(FewRows.most, k, seed: 3), random(n, k, seed: 4))
        let frozen = FrozenWeights(Compute(precision: isRounded ? .bfloat16 : .float32, threads: 2))
        let rounded = frozen.weight(rows: n, columns: k, .bfloat16)
        for row in 0..<n { for column in 0..<k { rounded.set(row, column, weight[row, column]) } }
        func product(_ x: Matrix, accumulate: Bool = false, into y: Matrix) {
            guard isRounded else { return multiply(x, transposed: weight, into: y, accumulate: accumulate) }
            rounded.apply(x, into: y, accumulate: accumulate)
        }
        let wanted = expected(FewRows.most, n, k) {
            Double(x[$0, $2]) * Double(isRounded ? BFloat16.float(BFloat16.bits(weight[$1, $2])) : weight[$1, $2])
        }
        let alone = workspace.matrix(rows: FewRows.most, columns: n)
        for row in 0..<FewRows.most { product(x[rows: row..<row + 1], into: alone[rows: row..<row + 1]) }
        for rows in 1...FewRows.most {
            let together = workspace.matrix(rows: rows, columns: n)
            product(x[rows: 0..<rows], into: together)
            #expect(together.elements == alone[rows: 0..<rows].elements, "\(rows) rows")
            expectClose(together.elements, Array(wanted[..<(rows * n)]), tolerance: 1e-5, "\(rows) rows")
            product(x[rows: 0..<rows], accumulate: true, into: together)
            expectClose(together.elements, wanted[..<(rows * n)].map { 2 * $0 }, tolerance: 1e-5, "\(rows) rows twice")
        }
    }

    @Test func exponentialsAreRightToTheLastPlaces() {
        for x in stride(from: Float(-87), to: 88, by: 0.37) {
            let found = exp(Vector(repeating: x))[5]
            #expect(abs(Double(found) / exact(Double(x)) - 1) < 2e-7)
        }
        #expect(exp(Vector(repeating: -1000))[0] < 1e-37 && exp(Vector(repeating: 1000))[0].isFinite)
    }

    @Test func theLargestIsTheFirstOfEquals() {
        let x = workspace.zeros(rows: 1, columns: 37)
        for index in [3, 20, 36] { x[0, index] = 5 }
        #expect(indexOfMaximum(x.start, 37) == 3 && maximum(x.start, 37) == 5)
        #expect(maximum(x.start, 0) == -.infinity)
    }

    /// eˣ by its series, halved often enough: for reference, without the library that is tested.
    private func exact(_ x: Double) -> Double {
        var (term, sum) = (1.0, 1.0)
        for n in 1..<30 {
            term *= x / 256 / Double(n)
            sum += term
        }
        for _ in 0..<8 { sum *= sum }
        return sum
    }
}

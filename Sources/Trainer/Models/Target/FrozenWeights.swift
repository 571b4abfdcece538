import Glibc

/// Memory for weights that aren't trained.
final class FrozenWeights: @unchecked Sendable {
    private var blocks: [UnsafeMutablePointer<Float>] = []
    private(set) var count = 0

    deinit { blocks.forEach { free($0) } }

    func matrix(rows: Int, columns: Int) -> Matrix {
        let start = allocateFloats(rows * columns)
        blocks.append(start)
        count += rows * columns
        return Matrix(start: start, rows: rows, columns: columns)
    }
}

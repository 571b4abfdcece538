import Glibc

/// Memory for weights that aren't trained.
final class FrozenWeights: @unchecked Sendable {
    private var blocks: [UnsafeMutablePointer<Float>] = []
    /// Bytes of all of them.
    private(set) var byteCount = 0

    deinit { blocks.forEach { free($0) } }

    func matrix(rows: Int, columns: Int) -> Matrix {
        Matrix(start: allocate(rows * columns), rows: rows, columns: columns)
    }

    /// A weight of linear maps or an embedding, in the precision of products; bfloat16 rows end in zeros.
    func weight(rows: Int, columns: Int, _ precision: MatrixPrecision) -> FrozenWeight {
        guard precision == .bfloat16 else { return .float32(matrix(rows: rows, columns: columns)) }
        let stride = BFloat16Matrix.stride(columns: columns)
        let start = UnsafeMutableRawPointer(allocate((rows * stride + 1) / 2))
        if stride > columns { start.initializeMemory(as: UInt16.self, repeating: 0, count: rows * stride) }
        return .bfloat16(
            BFloat16Matrix(
                start: start.bindMemory(to: UInt16.self, capacity: rows * stride), rows: rows, columns: columns,
                stride: stride))
    }

    private func allocate(_ floats: Int) -> UnsafeMutablePointer<Float> {
        let start = allocateFloats(floats)
        blocks.append(start)
        byteCount += 4 * floats
        return start
    }
}

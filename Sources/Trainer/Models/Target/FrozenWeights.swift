import Shared

/// Memory for weights that aren't trained.
///
/// It is zero, and takes none of the machine's, until it is written: so a model can be laid out for its size alone,
/// however much larger than the machine's memory it is.
final class FrozenWeights: @unchecked Sendable {
    /// What computes with them.
    let compute: Compute
    private let memory: ReservedMemory
    /// Bytes of all matrices.
    private(set) var byteCount = 0

    /// - Parameter isLaidOut: Whether it is only laid out and can't be written before `makeWritable`.
    init(_ compute: Compute, isLaidOut: Bool = false) {
        self.compute = compute
        memory = ReservedMemory(isWritable: !isLaidOut)
    }

    func makeWritable() { memory.makeWritable() }

    func matrix(rows: Int, columns: Int) -> Matrix {
        let start = take(4 * rows * columns).bindMemory(to: Float.self, capacity: rows * columns)
        return Matrix(start: start, rows: rows, columns: columns, compute)
    }

    /// A weight of linear maps or an embedding, [rows, columns], in the precision of products; bfloat16 rows end in
    /// zeros.
    ///
    /// - Parameters:
    ///   - precision: Nil for that of products.
    ///   - isCut: Whether products are of some of its rows by themselves, as an expert's.
    ///   - isBlocked: Whether kernels' own form is taken where there is one.
    func weight(
        rows: Int, columns: Int, _ precision: MatrixPrecision? = nil, isCut: Bool = false, isBlocked: Bool = true
    ) -> FrozenWeight {
        guard precision ?? compute.precision == .bfloat16 else { return .float32(matrix(rows: columns, columns: rows)) }
        // The halves of a weight that is cut begin with a block, and so do tiles of them.
        let begins = !isCut || !compute.hasIndependentRows && rows.isMultiple(of: 2 * BlockedMatrix.blockRows)
        if isBlocked, begins, rows >= BlockedMatrix.blockRows, let products = compute.blockProducts,
            products.support(depth: columns)
        {
            let count = BlockedMatrix.count(rows: rows, columns: columns)
            let start = take(2 * count).bindMemory(to: UInt16.self, capacity: count)
            return .blocked(BlockedMatrix(start: start, rows: rows, columns: columns))
        }
        let stride = BFloat16Matrix.stride(columns: columns)
        let start = take(2 * rows * stride).bindMemory(to: UInt16.self, capacity: rows * stride)
        return .bfloat16(BFloat16Matrix(start: start, rows: rows, columns: columns, stride: stride))
    }

    /// Memory of which the caller knows what it holds.
    func bytes(_ count: Int) -> UnsafeMutableRawPointer { take(count) }

    /// A weight of rows that stay as they are stored, of one format after the other.
    func packed(_ parts: [(rows: Int, format: RowFormat)], columns: Int) -> FrozenWeight {
        let segments = parts.filter { $0.rows > 0 }.map { rows, format in
            let stride = format.byteCount(columns: columns)
            return PackedMatrix.Segment(start: take(rows * stride), rows: rows, format: format, stride: stride)
        }
        return .packed(PackedMatrix(segments, columns: columns, compute))
    }

    /// A weight of another one's form with numbers of its own: what it takes to read such a one can be measured with it.
    func sample(like other: FrozenWeight) -> FrozenWeight {
        let sample: FrozenWeight
        switch other {
        case .packed(let weight):
            sample = packed(weight.segments.map { ($0.rows, $0.format) }, columns: weight.columns)
        case .float32: sample = weight(rows: other.rows, columns: other.columns, .float32)
        case .bfloat16: sample = weight(rows: other.rows, columns: other.columns, .bfloat16, isBlocked: false)
        case .blocked: sample = weight(rows: other.rows, columns: other.columns, .bfloat16)
        }
        sample.fill(0.01)
        return sample
    }

    private func take(_ bytes: Int) -> UnsafeMutableRawPointer {
        let bytes = (max(1, bytes) + 63) & ~63
        defer { byteCount += bytes }
        return memory.bytes(at: byteCount, count: bytes)
    }
}

import Glibc

/// Scratch memory for one micro batch: activations are stacked in it on the way forward and dropped together.
///
/// Nothing ever moves, and the largest batch alone decides how much memory it is: `highWater` says it.
final class Workspace {
    /// What computes in it.
    let compute: Compute
    private let memory = ReservedMemory()
    private var used = 0
    /// The most floats that were in use at a time.
    private(set) var highWater = 0

    init(_ compute: Compute) { self.compute = compute }

    /// A matrix whose elements are whatever was there before.
    func matrix(rows: Int, columns: Int) -> Matrix {
        Matrix(start: take(rows * columns), rows: rows, columns: columns, compute)
    }

    /// A matrix of zeros.
    func zeros(rows: Int, columns: Int) -> Matrix {
        let matrix = matrix(rows: rows, columns: columns)
        matrix.fill(0)
        return matrix
    }

    /// A matrix of bfloat16, as `matrix`.
    func bfloat16(rows: Int, columns: Int) -> BFloat16Matrix {
        let stride = BFloat16Matrix.stride(columns: columns)
        let floats = matrix(rows: rows, columns: stride / 2)
        let start = UnsafeMutableRawPointer(floats.start).bindMemory(to: UInt16.self, capacity: rows * stride)
        return BFloat16Matrix(start: start, rows: rows, columns: columns, stride: stride)
    }

    /// A matrix of bfloat16 with nothing between rows, in memory for as many as products with blocked weights read.
    func denseBFloat16(rows: Int, columns: Int) -> BFloat16Matrix {
        let floats = matrix(rows: BlockProducts.paddedRows(rows), columns: (columns + 1) / 2)
        let start = UnsafeMutableRawPointer(floats.start).bindMemory(to: UInt16.self, capacity: rows * columns)
        return BFloat16Matrix(start: start, rows: rows, columns: columns, stride: columns)
    }

    /// Runs `body` and takes back everything it allocated.
    func scope<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let mark = used
        defer { used = mark }
        return try body()
    }

    private func take(_ count: Int) -> UnsafeMutablePointer<Float> {
        let count = (max(1, count) + 15) & ~15
        defer { used += count }
        highWater = max(highWater, used + count)
        return memory.bytes(at: 4 * used, count: 4 * count).bindMemory(to: Float.self, capacity: count)
    }
}

/// Floats aligned to huge pages where there are enough of them, so that long matrix products miss fewer translations.
///
/// To be released by `free`. The program ends if there is no memory left.
func allocateFloats(_ count: Int) -> UnsafeMutablePointer<Float> {
    let bytes = max(64, count * MemoryLayout<Float>.stride)
    let alignment = bytes >= 1 << 21 ? 1 << 21 : 64
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, alignment, bytes) == 0, let memory else {
        endWithoutMemory(for: bytes)
    }
    if alignment > 64 { madvise(memory, bytes, MADV_HUGEPAGE) }
    return memory.bindMemory(to: Float.self, capacity: max(16, count))
}

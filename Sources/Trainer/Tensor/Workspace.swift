import Glibc

/// Scratch memory for one micro batch: activations are stacked in it on the way forward and dropped together.
///
/// It grows by blocks, which never move, until it has seen the largest batch; `highWater` says how far that was.
final class Workspace {
    private var blocks: [Block] = []
    private var position = Position(block: 0, offset: 0)
    private var usedBefore = 0
    /// The most floats that were in use at a time.
    private(set) var highWater = 0

    private struct Block {
        let start: UnsafeMutablePointer<Float>
        let capacity: Int
    }

    private struct Position {
        var block: Int
        var offset: Int
    }

    private static let blockCapacity = 1 << 22

    deinit {
        for block in blocks { free(block.start) }
    }

    /// A matrix whose elements are whatever was there before.
    func matrix(rows: Int, columns: Int) -> Matrix {
        Matrix(start: take(rows * columns), rows: rows, columns: columns)
    }

    /// A matrix of zeros.
    func zeros(rows: Int, columns: Int) -> Matrix {
        let matrix = matrix(rows: rows, columns: columns)
        matrix.fill(0)
        return matrix
    }

    /// Runs `body` and takes back everything it allocated.
    func scope<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let (mark, used) = (position, usedBefore)
        defer { (position, usedBefore) = (mark, used) }
        return try body()
    }

    private func take(_ count: Int) -> UnsafeMutablePointer<Float> {
        let count = (max(1, count) + 15) & ~15
        while position.block < blocks.count, position.offset + count > blocks[position.block].capacity {
            usedBefore += position.offset
            position = Position(block: position.block + 1, offset: 0)
        }
        if position.block == blocks.count { blocks.append(Self.allocate(max(count, Self.blockCapacity))) }
        let start = blocks[position.block].start + position.offset
        position.offset += count
        highWater = max(highWater, usedBefore + position.offset)
        return start
    }

    private static func allocate(_ capacity: Int) -> Block {
        let start = allocateFloats(capacity)
        return Block(start: start, capacity: capacity)
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
        fatalError("no memory for \(bytes) bytes")
    }
    if alignment > 64 { madvise(memory, bytes, MADV_HUGEPAGE) }
    return memory.bindMemory(to: Float.self, capacity: max(16, count))
}

import Glibc

/// Scratch memory for one micro batch: activations are stacked in it on the way forward and dropped together.
///
/// One range of addresses, as long as the machine has memory, of which only what was in use at a time becomes memory:
/// so nothing ever moves, and the largest batch alone decides how much that is. `highWater` says it.
final class Workspace {
    private let start: UnsafeMutablePointer<Float>
    private let capacity: Int
    /// Floats that have been made memory, from `start`.
    private var committed = 0
    private var used = 0
    /// The most floats that were in use at a time.
    private(set) var highWater = 0

    /// Floats that become memory at a time: 16 MB.
    private static let commitment = 1 << 22

    init() {
        var bytes = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        // Less where a limit on addresses (ulimit -v) doesn't leave room for all of it.
        while true {
            if let memory = mmap(nil, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                memory != MAP_FAILED
            {
                start = memory.bindMemory(to: Float.self, capacity: bytes / 4)
                capacity = bytes / 4
                madvise(memory, bytes, MADV_HUGEPAGE)
                return
            }
            bytes /= 2
            guard bytes >= 4 * Self.commitment else { fatalError("no addresses for \(bytes) bytes") }
        }
    }

    deinit { munmap(start, 4 * capacity) }

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
        let mark = used
        defer { used = mark }
        return try body()
    }

    private func take(_ count: Int) -> UnsafeMutablePointer<Float> {
        let first = used
        used += (max(1, count) + 15) & ~15
        highWater = max(highWater, used)
        if used > committed { commit() }
        return start + first
    }

    private func commit() {
        let wanted = (used + Self.commitment - 1) / Self.commitment * Self.commitment
        guard wanted <= capacity,
            mprotect(start + committed, 4 * (wanted - committed), PROT_READ | PROT_WRITE) == 0
        else { fatalError("no memory for activations of \(4 * used) bytes") }
        committed = wanted
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

/// As `allocateFloats`, numbers of 16 bits.
func allocateBFloat16(_ count: Int) -> UnsafeMutablePointer<UInt16> {
    UnsafeMutableRawPointer(allocateFloats((count + 1) / 2)).bindMemory(to: UInt16.self, capacity: max(32, count))
}

import Glibc

/// A range of addresses that takes memory only where it is touched; all of it is zero at first.
///
/// In huge pages where the system has them, so that long matrix products miss fewer translations. The program ends
/// with a sentence if the system gives no more.
final class ReservedMemory: @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    private let capacity: Int
    /// Bytes from `start` on that may be touched.
    private var open = 0

    private static let step = 1 << 24

    /// As many addresses as the machine has memory.
    init() {
        var bytes = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        // Less where a limit on addresses (ulimit -v) doesn't leave room for all of it.
        while true {
            if let memory = mmap(nil, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                memory != MAP_FAILED
            {
                (start, capacity) = (memory, bytes)
                madvise(memory, bytes, MADV_HUGEPAGE)
                return
            }
            bytes /= 2
            guard bytes >= Self.step else { fatalError("no addresses for \(bytes) bytes") }
        }
    }

    deinit { munmap(start, capacity) }

    /// The address `offset` bytes from the beginning; `count` bytes from there on may be touched from now on.
    func bytes(at offset: Int, count: Int) -> UnsafeMutableRawPointer {
        if offset + count > open { extend(to: offset + count) }
        return start + offset
    }

    /// The first `count` numbers.
    func numbers<Number>(_ count: Int) -> UnsafeMutableBufferPointer<Number> {
        let size = MemoryLayout<Number>.stride * count
        let start = bytes(at: 0, count: size).bindMemory(to: Number.self, capacity: count)
        return UnsafeMutableBufferPointer(start: start, count: count)
    }

    private func extend(to end: Int) {
        let wanted = (end + Self.step - 1) / Self.step * Self.step
        guard wanted <= capacity, mprotect(start + open, wanted - open, PROT_READ | PROT_WRITE) == 0 else {
            fatalError("no memory for \(end) bytes")
        }
        open = wanted
    }
}

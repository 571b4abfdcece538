import Glibc

/// A range of addresses that takes memory only where it is written; all of it is zero at first.
///
/// In huge pages where the system has them, so that long matrix products miss fewer translations. The program ends
/// with a sentence if the system gives no more.
final class ReservedMemory: @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    private let capacity: Int
    /// Bytes from `start` on that may be touched.
    private var open = 0
    private var protection = PROT_READ

    private static let step = 1 << 24
    /// Addresses of one range, of the 2⁴⁷ that a process has: more than any machine has memory, as a model is laid out
    /// for its size alone too.
    private static let addresses = 1 << 43

    /// - Parameter isWritable: Whether it may be written from the start; it can be read always.
    init(isWritable: Bool = true) {
        if isWritable { protection |= PROT_WRITE }
        var bytes = Self.addresses
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
            guard bytes >= Self.step else { endWithoutMemory(for: Self.step) }
        }
    }

    deinit { munmap(start, capacity) }

    /// The address `offset` bytes from the beginning; `count` bytes from there on may be touched from now on.
    func bytes(at offset: Int, count: Int) -> UnsafeMutableRawPointer {
        if offset + count > open { extend(to: offset + count) }
        return start + offset
    }

    /// The first `count` elements.
    func elements<Element>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
        let size = MemoryLayout<Element>.stride * count
        let start = bytes(at: 0, count: size).bindMemory(to: Element.self, capacity: count)
        return UnsafeMutableBufferPointer(start: start, count: count)
    }

    /// Lets all of it be written, what there is and what is still to come.
    func makeWritable() {
        guard protection & PROT_WRITE == 0 else { return }
        protection |= PROT_WRITE
        guard open == 0 || mprotect(start, open, protection) == 0 else { endWithoutMemory(for: open) }
    }

    private func extend(to end: Int) {
        let wanted = (end + Self.step - 1) / Self.step * Self.step
        guard wanted <= capacity, mprotect(start + open, wanted - open, protection) == 0 else {
            endWithoutMemory(for: end)
        }
        open = wanted
    }
}

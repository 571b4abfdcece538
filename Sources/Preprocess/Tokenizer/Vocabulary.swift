@preconcurrency import Glibc

/// The bytes of every token, and the token of bytes: an open-addressing table over one arena.
struct Vocabulary: Sendable {
    /// Ids are below this.
    static let limit = 1 << 24
    /// The longest token, in bytes, that is looked for wherever a text might have it.
    static let longestSearched = 1024

    private var arena: [UInt8] = []
    private var starts: [Int32] = []
    private var counts: [Int32] = []
    /// Token id + 1, 0 for a free slot.
    private var slots: [Int32]

    /// - Parameter capacity: The number of tokens to make room for.
    init(capacity: Int) {
        var size = 16
        while size < 2 * capacity { size *= 2 }
        slots = [Int32](repeating: 0, count: size)
    }

    /// One more than the largest id.
    var count: Int { starts.count }

    /// The bytes of the token `id`, none if there is no such token.
    func bytes(of id: Int) -> ArraySlice<UInt8>? {
        guard starts.indices.contains(id), starts[id] >= 0 else { return nil }
        return arena[Int(starts[id])..<Int(starts[id] + counts[id])]
    }

    /// The number of bytes of each token.
    var lengths: [Int32] { counts }

    /// Sets the bytes of the token `id`; `isSearched` says whether they shall be found by `id(of:)`.
    mutating func set(_ id: Int, _ bytes: some Collection<UInt8>, isSearched: Bool) {
        if id >= starts.count {
            starts += repeatElement(-1, count: id + 1 - starts.count)
            counts += repeatElement(0, count: id + 1 - counts.count)
        }
        starts[id] = Int32(arena.count)
        counts[id] = Int32(bytes.count)
        arena += bytes
        guard isSearched else { return }
        if 2 * count > slots.count { grow() }
        insert(id)
    }

    /// The token that has these bytes.
    func id(of bytes: UnsafeBufferPointer<UInt8>) -> Int32? {
        guard let start = bytes.baseAddress else { return nil }
        return arena.withUnsafeBufferPointer { arena in
            var slot = Int(truncatingIfNeeded: ByteHash.hash(start, count: bytes.count)) & (slots.count - 1)
            while slots[slot] != 0 {
                let id = Int(slots[slot]) - 1
                if Int(counts[id]) == bytes.count, let own = arena.baseAddress,
                    memcmp(own + Int(starts[id]), start, bytes.count) == 0
                {
                    return Int32(id)
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            return nil
        }
    }

    func id(of bytes: [UInt8]) -> Int32? { bytes.withUnsafeBufferPointer { id(of: $0) } }

    private mutating func insert(_ id: Int) {
        let hashed = arena.withUnsafeBufferPointer { arena in
            arena.baseAddress.map { ByteHash.hash($0 + Int(starts[id]), count: Int(counts[id])) } ?? 0
        }
        var slot = Int(truncatingIfNeeded: hashed) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(id + 1)
    }

    private mutating func grow() {
        let ids = slots.filter { $0 != 0 }
        slots = [Int32](repeating: 0, count: 2 * slots.count)
        for id in ids where id > 0 { insert(Int(id) - 1) }
    }
}

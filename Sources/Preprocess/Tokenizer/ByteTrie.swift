/// A tree of byte strings, each with a number: finds all of them that begin at a position of a text.
///
/// Its edges are one hash table, keyed by the node above and the byte.
struct ByteTrie: Sendable {
    private var numbers: [Int32] = [-1]
    private var slots: [Edge]

    private struct Edge: Sendable {
        /// The node above times 256, plus the byte; none where free.
        var key = UInt64.max
        var node: Int32 = 0
    }

    init() { slots = [Edge](repeating: Edge(), count: 256) }

    /// Adds a string that isn't empty; of equal ones, the last counts.
    mutating func insert(_ bytes: some Sequence<UInt8>, _ number: Int32) {
        var node = 0
        for byte in bytes {
            if 2 * numbers.count > slots.count { grow() }
            let key = Self.key(node, byte)
            let slot = find(key)
            if slots[slot].key == .max {
                slots[slot] = Edge(key: key, node: Int32(numbers.count))
                numbers.append(-1)
            }
            node = Int(slots[slot].node)
        }
        if node > 0 { numbers[node] = number }
    }

    /// Calls `body` with the number and the end of every string that begins at `start`, the shorter first.
    @inline(__always)
    func forEachPrefix(
        of text: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (_ number: Int32, _ end: Int) -> Void
    ) {
        var node = 0
        var i = start
        while i < text.count {
            let edge = slots[find(Self.key(node, text[i]))]
            guard edge.key != .max else { return }
            node = Int(edge.node)
            i += 1
            if numbers[node] >= 0 { body(numbers[node], i) }
        }
    }

    /// The number of a whole string.
    func number(of text: UnsafeBufferPointer<UInt8>) -> Int32? {
        var found: Int32?
        forEachPrefix(of: text, from: 0) { number, end in if end == text.count { found = number } }
        return found
    }

    @inline(__always)
    private static func key(_ node: Int, _ byte: UInt8) -> UInt64 { UInt64(node) &<< 8 | UInt64(byte) }

    /// The slot of an edge, or the free one where it belongs.
    @inline(__always)
    private func find(_ key: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 24) & (slots.count &- 1)
        while slots[slot].key != key, slots[slot].key != .max { slot = (slot &+ 1) & (slots.count &- 1) }
        return slot
    }

    private mutating func grow() {
        let edges = slots.filter { $0.key != .max }
        slots = [Edge](repeating: Edge(), count: 2 * slots.count)
        for edge in edges { slots[find(edge.key)] = edge }
    }
}

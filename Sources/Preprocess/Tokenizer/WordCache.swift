/// The tokens of words seen lately: a fixed table, so that a word costs one line of memory.
///
/// A word of up to 15 bytes is its own key, and up to three tokens stand in its entry with their lengths. Longer words are
/// keyed by a hash and compared with their bytes; they and more tokens stand in side arrays. A word has two slots, side by side;
/// a new one takes the first, and what was in it the second. When the side arrays are full, everything is forgotten.
/// What is remembered never changes a result.
final class WordCache {
    struct Entry {
        var low: UInt64 = 0
        var high: UInt64 = 0
        /// Of a short word with up to three tokens: their ids, and above those their numbers of bytes.
        var tokens: (UInt32, UInt32, UInt32) = (0, 0, 0)
        /// The number of tokens; above 3 and for long words, they are at `tokens.0` of the side array.
        var count: Int32 = 0
    }

    /// The longest word, in bytes, that is its own key.
    static let shortLimit = 15
    /// The longest word, in bytes, that is remembered.
    static let longLimit = 512
    private static let positions = 1 << 16
    private static let sideLimit = 1 << 21
    private static let longMark: UInt64 = 0x80 << 56

    private let entries: UnsafeMutablePointer<Entry>
    @exclusivity(unchecked) private var sideTokens: [Int32] = []
    @exclusivity(unchecked) private var sideBytes: [UInt8] = []

    init() {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: Self.positions * MemoryLayout<Entry>.stride, alignment: 64)
        entries = memory.bindMemory(to: Entry.self, capacity: Self.positions)
        entries.initialize(repeating: Entry(), count: Self.positions)
    }

    deinit { entries.deallocate() }

    /// The bits of an id in an entry; Vocabulary.limit keeps ids below.
    static let idBits: UInt32 = 24

    /// A word as the table knows it.
    struct Key {
        let low: UInt64
        let high: UInt64

        /// Where the word's two slots begin.
        fileprivate var position: Int {
            @inline(__always) get {
                let hash = high & longMark == 0 ? ByteHash.fold(low, high) : low
                return Int(truncatingIfNeeded: hash) & (positions - 2)
            }
        }
    }

    /// The key of a word of up to 15 bytes, of which 16 are readable.
    @inline(__always)
    static func shortKey(_ word: UnsafePointer<UInt8>, _ count: Int) -> Key {
        let raw = UnsafeRawPointer(word)
        let bits = UInt64(truncatingIfNeeded: 8 &* count)
        // Swift's shifts by 64 and more give 0, so this does for words on both sides of eight bytes.
        let low = raw.loadUnaligned(as: UInt64.self) & ~(UInt64.max << bits)
        let above = UInt64.max << (bits < 64 ? 0 : bits &- 64)
        let high = bits < 64 ? 0 : raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self) & ~above
        return Key(low: low, high: high | UInt64(count) &<< 56)
    }

    /// The key of a longer word, which still is to be compared.
    static func longKey(_ word: UnsafePointer<UInt8>, _ count: Int) -> Key {
        let hashed = ByteHash.hash(word, count: count)
        return Key(low: hashed, high: longMark | UInt64(count))
    }

    /// The entry of a short word.
    @inline(__always)
    func find(_ key: Key) -> UnsafePointer<Entry>? {
        let entry = entries + key.position
        if entry[0].low == key.low, entry[0].high == key.high { return UnsafePointer(entry) }
        if entry[1].low == key.low, entry[1].high == key.high { return UnsafePointer(entry + 1) }
        return nil
    }

    /// The entry of a long word.
    func find(_ key: Key, _ word: UnsafeBufferPointer<UInt8>) -> UnsafePointer<Entry>? {
        guard let entry = find(key) else { return nil }
        let start = Int(entry.pointee.tokens.1)
        return sideBytes[start..<start + word.count].elementsEqual(word) ? entry : nil
    }

    /// The token `i` of an entry whose tokens stand aside.
    @inline(__always)
    func sideToken(_ entry: UnsafePointer<Entry>, _ i: Int) -> Int32 { sideTokens[Int(entry.pointee.tokens.0) &+ i] }

    /// Remembers the tokens of a word, which follow each other by their lengths; its bytes too if it is long.
    func insert(
        _ key: Key, _ tokens: [Int32], lengths: UnsafePointer<Int32>, longWord: UnsafeBufferPointer<UInt8>?
    ) {
        if sideTokens.count + sideBytes.count > Self.sideLimit { removeAll() }
        var entry = Entry(low: key.low, high: key.high, count: Int32(tokens.count))
        if let longWord {
            entry.tokens.1 = UInt32(sideBytes.count)
            sideBytes.append(contentsOf: longWord)
        }
        if longWord != nil || tokens.count > 3 {
            entry.tokens.0 = UInt32(sideTokens.count)
            sideTokens += tokens
        } else {
            func packed(_ i: Int) -> UInt32 {
                guard i < tokens.count else { return 0 }
                return UInt32(bitPattern: tokens[i] | lengths[Int(tokens[i])] << Int32(Self.idBits))
            }
            entry.tokens = (packed(0), packed(1), packed(2))
        }
        let position = entries + key.position
        position[1] = position[0]
        position[0] = entry
    }

    private func removeAll() {
        entries.update(repeating: Entry(), count: Self.positions)
        sideTokens.removeAll(keepingCapacity: true)
        sideBytes.removeAll(keepingCapacity: true)
    }
}

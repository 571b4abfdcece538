/// A text's tokens: the id of each, and the bytes of the text that it stands for.
///
/// Reused from text to text, so that encoding allocates nothing once the buffers have grown.
final class EncodedText {
    @exclusivity(unchecked) private(set) var count = 0
    @exclusivity(unchecked) private var capacity = 1024
    @exclusivity(unchecked) private var limit = Int.max
    @exclusivity(unchecked) private var idStorage: UnsafeMutablePointer<Int32>
    @exclusivity(unchecked) private var startStorage: UnsafeMutablePointer<Int32>
    @exclusivity(unchecked) private var endStorage: UnsafeMutablePointer<Int32>

    init() {
        idStorage = .allocate(capacity: capacity)
        startStorage = .allocate(capacity: capacity)
        endStorage = .allocate(capacity: capacity)
    }

    deinit {
        idStorage.deallocate()
        startStorage.deallocate()
        endStorage.deallocate()
    }

    var ids: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(start: idStorage, count: count) }

    /// Where each token's bytes begin in the text.
    var starts: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(start: startStorage, count: count) }

    /// Where each token's bytes end in the text, exclusive.
    var ends: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(start: endStorage, count: count) }

    /// - Parameter limit: How many tokens are wanted of the next text.
    func removeAll(limit: Int = .max) {
        count = 0
        self.limit = limit
    }

    /// Whether as many tokens are there as are wanted, or a few more.
    var isFull: Bool { count >= limit }

    /// How many more are wanted.
    var room: Int { max(0, limit - count) }

    /// Makes room for tokens that `append` then takes.
    @inline(__always)
    func reserve(_ added: Int) {
        if count &+ added > capacity { grow(to: count + added) }
    }

    /// Adds a token for which room was reserved.
    @inline(__always)
    func append(_ id: Int32, _ start: Int, _ end: Int) {
        idStorage[count] = id
        startStorage[count] = Int32(truncatingIfNeeded: start)
        endStorage[count] = Int32(truncatingIfNeeded: end)
        count &+= 1
    }

    /// Writes tokens without the cost of looking at the object for each; what it wrote counts once it is handed back.
    struct Writer {
        private let ids: UnsafeMutablePointer<Int32>
        private let starts: UnsafeMutablePointer<Int32>
        private let ends: UnsafeMutablePointer<Int32>
        fileprivate var count: Int
        private let capacity: Int
        private let limit: Int

        fileprivate init(_ text: EncodedText) {
            (ids, starts, ends) = (text.idStorage, text.startStorage, text.endStorage)
            (count, capacity, limit) = (text.count, text.capacity, text.limit)
        }

        var isFull: Bool {
            @inline(__always) get { count >= limit }
        }

        /// Appends the tokens of a word that stands at `start`, if it has up to three and there is room.
        ///
        /// Three are written whatever their number, so that nothing hangs on it that a CPU would have to guess.
        @inline(__always)
        mutating func append(_ word: UnsafePointer<WordCache.Entry>, at start: Int) -> Bool {
            let found = Int(word.pointee.count)
            guard found <= 3, count &+ 3 <= capacity else { return false }
            let tokens = word.pointee.tokens
            let second = write(tokens.0, count, Int32(truncatingIfNeeded: start))
            let third = write(tokens.1, count &+ 1, second)
            _ = write(tokens.2, count &+ 2, third)
            count &+= found
            return true
        }

        @inline(__always)
        private func write(_ token: UInt32, _ position: Int, _ start: Int32) -> Int32 {
            let end = start &+ Int32(bitPattern: token &>> WordCache.idBits)
            ids[position] = Int32(bitPattern: token & (1 &<< WordCache.idBits &- 1))
            starts[position] = start
            ends[position] = end
            return end
        }
    }

    @inline(__always)
    func writer() -> Writer { Writer(self) }

    @inline(__always)
    func take(_ writer: Writer) { count = writer.count }

    /// Moves the offsets of the tokens from `first` on: a token's new range is `move` of its old one.
    func moveOffsets(from first: Int, _ move: (Range<Int>) -> Range<Int>) {
        for i in first..<count {
            let moved = move(Int(startStorage[i])..<Int(endStorage[i]))
            startStorage[i] = Int32(moved.lowerBound)
            endStorage[i] = Int32(moved.upperBound)
        }
    }

    private func grow(to needed: Int) {
        let larger = max(2 * capacity, needed)
        func moved(_ old: UnsafeMutablePointer<Int32>) -> UnsafeMutablePointer<Int32> {
            let new = UnsafeMutablePointer<Int32>.allocate(capacity: larger)
            new.update(from: old, count: count)
            old.deallocate()
            return new
        }
        idStorage = moved(idStorage)
        startStorage = moved(startStorage)
        endStorage = moved(endStorage)
        capacity = larger
    }
}

import CMachine
import Shared

/// The keys and values of one layer for many sequences, in pages of 64 positions that any sequence may have.
///
/// In float32, or in bfloat16 at half the memory. A page has for each key/value head its keys and then its values. Keys
/// lie by sixteen positions with two neighbouring elements of a head beside each other, so that scores of sixteen keys
/// add up in one vector; values lie by position. Heads are filled up with zeros to a multiple of 32 elements.
struct KeyValuePages: @unchecked Sendable {
    /// Positions of a page.
    static let size = 64

    let numHeads: Int
    let headDim: Int
    let precision: MatrixPrecision
    private let start: UnsafeMutableRawPointer

    /// Elements of a head, zeros included.
    var width: Int { (headDim + 31) & ~31 }
    /// Bytes of a head's keys in a page, as many as of its values.
    private var halfBytes: Int { Self.size * width * elementBytes }
    private var elementBytes: Int { precision == .bfloat16 ? 2 : 4 }

    init(numHeads: Int, headDim: Int, pages: Int, _ memory: FrozenWeights) {
        (self.numHeads, self.headDim) = (numHeads, headDim)
        precision = memory.compute.precision
        start = memory.bytes(pages * Self.pageBytes(numHeads: numHeads, headDim: headDim, precision))
    }

    /// Bytes of a page.
    static func pageBytes(numHeads: Int, headDim: Int, _ precision: MatrixPrecision) -> Int {
        2 * numHeads * size * ((headDim + 31) & ~31) * (precision == .bfloat16 ? 2 : 4)
    }

    /// A head's keys in a page.
    @inline(__always) func keys(_ page: Int32, _ head: Int) -> UnsafeMutableRawPointer {
        start + (Int(page) * numHeads + head) * 2 * halfBytes
    }

    /// A head's values in a page.
    @inline(__always) func values(_ page: Int32, _ head: Int) -> UnsafeMutableRawPointer {
        keys(page, head) + halfBytes
    }

    /// Writes the keys and values of one position, [numHeads · headDim] each.
    func write(
        _ keys: UnsafeMutablePointer<Float>, _ values: UnsafeMutablePointer<Float>, page: Int32, position: Int
    ) {
        for head in 0..<numHeads {
            let (k, v) = (keys + head * headDim, values + head * headDim)
            switch precision {
            case .bfloat16:
                put(k, v, self.keys(page, head), self.values(page, head), position, BFloat16Element.self)
            case .float32:
                put(k, v, self.keys(page, head), self.values(page, head), position, Float32Element.self)
            }
        }
    }

    @inline(__always) private func put<Element: PagedElement>(
        _ k: UnsafeMutablePointer<Float>, _ v: UnsafeMutablePointer<Float>, _ keys: UnsafeMutableRawPointer,
        _ values: UnsafeMutableRawPointer, _ position: Int, _: Element.Type
    ) {
        for i in 0..<headDim {
            Element.storeKey(k[i], keys, block: position / 16, lane: position % 16, element: i, width: width)
            Element.storeValue(v[i], values + position * width * elementBytes, element: i)
        }
    }
}

/// How an element of keys and values is stored, and read two vectors at a time.
protocol PagedElement {
    static func storeKey(
        _ value: Float, _ keys: UnsafeMutableRawPointer, block: Int, lane: Int, element: Int, width: Int)
    static func storeValue(_ value: Float, _ row: UnsafeMutableRawPointer, element: Int)
    /// Elements 2 · pair and 2 · pair + 1 of sixteen keys; what lies `ahead` bytes after them is read into the cache.
    static func keys(_ keys: UnsafeMutableRawPointer, block: Int, pair: Int, width: Int, ahead: Int) -> (Vector, Vector)
    /// 32 elements of a value from `offset` on, in an order of its own; `ahead` as above.
    static func values(
        _ values: UnsafeMutableRawPointer, position: Int, offset: Int, width: Int, ahead: Int
    ) -> (Vector, Vector)
    /// Brings what `values` gave into order.
    static func ordered(_ pair: (Vector, Vector)) -> (Vector, Vector)
}

enum Float32Element: PagedElement {
    @inline(__always) static func storeKey(
        _ value: Float, _ keys: UnsafeMutableRawPointer, block: Int, lane: Int, element: Int, width: Int
    ) {
        keys.storeBytes(of: value, toByteOffset: 4 * ((block * width + element) * 16 + lane), as: Float.self)
    }

    @inline(__always) static func storeValue(_ value: Float, _ row: UnsafeMutableRawPointer, element: Int) {
        row.storeBytes(of: value, toByteOffset: 4 * element, as: Float.self)
    }

    @inline(__always) static func keys(
        _ keys: UnsafeMutableRawPointer, block: Int, pair: Int, width: Int, ahead: Int
    ) -> (Vector, Vector) {
        vectors(keys + 64 * (block * width + 2 * pair), ahead)
    }

    @inline(__always) static func values(
        _ values: UnsafeMutableRawPointer, position: Int, offset: Int, width: Int, ahead: Int
    ) -> (Vector, Vector) {
        vectors(values + 4 * (position * width + offset), ahead)
    }

    @inline(__always) private static func vectors(_ start: UnsafeMutableRawPointer, _ ahead: Int) -> (Vector, Vector) {
        machine_prefetch(start + ahead)
        machine_prefetch(start + ahead + 64)
        return (start.loadUnaligned(as: Vector.self), start.loadUnaligned(fromByteOffset: 64, as: Vector.self))
    }

    @inline(__always) static func ordered(_ pair: (Vector, Vector)) -> (Vector, Vector) { pair }
}

/// Two neighbours are one word, whose lower half and upper half are floats by a shift and by a mask.
enum BFloat16Element: PagedElement {
    @inline(__always) static func storeKey(
        _ value: Float, _ keys: UnsafeMutableRawPointer, block: Int, lane: Int, element: Int, width: Int
    ) {
        let word = (block * width / 2 + element / 2) * 16 + lane
        keys.storeBytes(of: BFloat16.bits(value), toByteOffset: 4 * word + 2 * (element & 1), as: UInt16.self)
    }

    @inline(__always) static func storeValue(_ value: Float, _ row: UnsafeMutableRawPointer, element: Int) {
        row.storeBytes(of: BFloat16.bits(value), toByteOffset: 2 * element, as: UInt16.self)
    }

    @inline(__always) static func keys(
        _ keys: UnsafeMutableRawPointer, block: Int, pair: Int, width: Int, ahead: Int
    ) -> (Vector, Vector) {
        halves(keys + 64 * (block * width / 2 + pair), ahead)
    }

    @inline(__always) static func values(
        _ values: UnsafeMutableRawPointer, position: Int, offset: Int, width: Int, ahead: Int
    ) -> (Vector, Vector) {
        halves(values + 2 * (position * width + offset), ahead)
    }

    @inline(__always) private static func halves(_ start: UnsafeMutableRawPointer, _ ahead: Int) -> (Vector, Vector) {
        machine_prefetch(start + ahead)
        let words = start.loadUnaligned(as: SIMD16<UInt32>.self)
        return (
            unsafeBitCast(words &<< 16, to: Vector.self), unsafeBitCast(words & 0xFFFF_0000, to: Vector.self)
        )
    }

    /// Even elements and odd ones become the first sixteen and the last.
    @inline(__always) static func ordered(_ pair: (Vector, Vector)) -> (Vector, Vector) {
        var (first, second) = (Vector.zero, Vector.zero)
        for i in 0..<8 {
            (first[2 * i], first[2 * i + 1]) = (pair.0[i], pair.1[i])
            (second[2 * i], second[2 * i + 1]) = (pair.0[8 + i], pair.1[8 + i])
        }
        return (first, second)
    }
}

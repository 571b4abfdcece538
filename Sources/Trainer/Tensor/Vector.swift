/// Sixteen floats: one AVX-512 register, two AVX2 ones.
typealias Vector = SIMD16<Float>

/// Loads and stores of sixteen elements at `offset` of `count`, fewer at the end, where the rest is zero.
extension UnsafeMutablePointer<Float> {
    @inline(__always) func load(_ offset: Int, of count: Int) -> Vector {
        if _fastPath(offset + 16 <= count) {
            return UnsafeRawPointer(self + offset).loadUnaligned(as: Vector.self)
        }
        var vector = Vector.zero
        for lane in 0..<(count - offset) { vector[lane] = self[offset + lane] }
        return vector
    }

    @inline(__always) func store(_ vector: Vector, _ offset: Int, of count: Int) {
        if _fastPath(offset + 16 <= count) {
            return UnsafeMutableRawPointer(self + offset).storeBytes(of: vector, as: Vector.self)
        }
        for lane in 0..<(count - offset) { self[offset + lane] = vector[lane] }
    }
}

extension Vector {
    /// The largest element, as `total` by halves; the library's `max` is a call.
    var largest: Float {
        @inline(__always) get {
            let eight = lowHalf.replacing(with: highHalf, where: highHalf .> lowHalf)
            let four = eight.lowHalf.replacing(with: eight.highHalf, where: eight.highHalf .> eight.lowHalf)
            let two = four.lowHalf.replacing(with: four.highHalf, where: four.highHalf .> four.lowHalf)
            return Swift.max(two.x, two.y)
        }
    }
}

/// The larger of each two elements; where one isn't a number, the first's.
///
/// By comparing and replacing, which are an instruction each; the library's `pointwiseMax` goes lane by lane.
@inline(__always) func larger(_ a: Vector, _ b: Vector) -> Vector { a.replacing(with: b, where: b .> a) }

/// The smaller of each two elements; where one isn't a number, the first's.
@inline(__always) func smaller(_ a: Vector, _ b: Vector) -> Vector { a.replacing(with: b, where: b .< a) }

/// eˣ for each element, to 2 units in the last place; x is held within [-87.3, 88.7].
///
/// Range reduction by log 2 in two parts and a polynomial of degree 7: the constants of Cephes' expf. Transparent, as
/// an always-inline function of this size is a call for each vector in some of the loops that use it.
@_transparent func exp(_ x: Vector) -> Vector {
    let magic = Vector(repeating: 12_582_912)  // 1.5 · 2²³: adding it rounds to an integer in the low bits
    let x = smaller(larger(x, Vector(repeating: -87.3)), Vector(repeating: 88.7))
    let shifted = magic.addingProduct(x, Vector(repeating: 1.442_695_04))
    let n = shifted - magic
    let r = x.addingProduct(n, Vector(repeating: -0.693_359_375)).addingProduct(n, Vector(repeating: 2.121_944_40e-4))
    var p = Vector(repeating: 1.987_569_15e-4)
    p = Vector(repeating: 1.398_199_95e-3).addingProduct(p, r)
    p = Vector(repeating: 8.333_451_91e-3).addingProduct(p, r)
    p = Vector(repeating: 4.166_579_59e-2).addingProduct(p, r)
    p = Vector(repeating: 1.666_666_55e-1).addingProduct(p, r)
    p = Vector(repeating: 5.000_000_12e-1).addingProduct(p, r)
    let y = (r + 1).addingProduct(p, r * r)
    let exponent = unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &<< 23
    return unsafeBitCast(unsafeBitCast(y, to: SIMD16<UInt32>.self) &+ exponent, to: Vector.self)
}

/// Σ a b over `count` elements, in four interleaved sums.
@inline(__always) func dot(_ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
    var (s0, s1, s2, s3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    var i = 0
    while i + 64 <= count {
        s0.addProduct(a.load(i, of: count), b.load(i, of: count))
        s1.addProduct(a.load(i + 16, of: count), b.load(i + 16, of: count))
        s2.addProduct(a.load(i + 32, of: count), b.load(i + 32, of: count))
        s3.addProduct(a.load(i + 48, of: count), b.load(i + 48, of: count))
        i += 64
    }
    while i < count {
        s0.addProduct(a.load(i, of: count), b.load(i, of: count))
        i += 16
    }
    return ((s0 + s1) + (s2 + s3)).total
}

/// y += factor x over `count` elements.
@inline(__always) func add(
    _ factor: Float, _ x: UnsafeMutablePointer<Float>, to y: UnsafeMutablePointer<Float>, _ count: Int
) {
    let factor = Vector(repeating: factor)
    for i in Swift.stride(from: 0, to: count, by: 16) {
        y.store(y.load(i, of: count).addingProduct(factor, x.load(i, of: count)), i, of: count)
    }
}

/// x *= factor over `count` elements.
@inline(__always) func scale(_ x: UnsafeMutablePointer<Float>, by factor: Float, _ count: Int) {
    for i in Swift.stride(from: 0, to: count, by: 16) { x.store(x.load(i, of: count) * factor, i, of: count) }
}

/// The largest of `count` elements; -∞ of none.
@inline(__always) func maximum(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
    var best = Vector(repeating: -.infinity)
    var i = 0
    while i + 16 <= count {
        best = larger(best, x.load(i, of: count))
        i += 16
    }
    var result = best.largest
    while i < count {
        result = Swift.max(result, x[i])
        i += 1
    }
    return result
}

/// The position of the first largest of `count` elements.
@inline(__always) func indexOfMaximum(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Int {
    let largest = maximum(x, count)
    var i = 0
    while i + 16 <= count {
        if any(x.load(i, of: count) .== Vector(repeating: largest)) { break }
        i += 16
    }
    while i < count && x[i] != largest { i += 1 }
    return i < count ? i : 0
}

extension UnsafeMutablePointer<Float> {
    /// Each x becomes c tanh(x / c), by tanh(z) = 1 − 2 / (1 + e²ᶻ).
    func softcap(_ count: Int, at cap: Float) {
        for i in stride(from: 0, to: count, by: 16) {
            let e = exp(load(i, of: count) * (2 / cap))
            store(cap - (2 * cap) / (1 + e), i, of: count)
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): a sequence that is the same everywhere.
struct SplitMix64 {
    private var state: UInt64

    /// What the state grows by with each number: the n-th number of a seed is the first of the seed plus n of these.
    static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= Self.increment
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) / 9_007_199_254_740_992 }

    /// Uniform in 0..<bound.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }
}

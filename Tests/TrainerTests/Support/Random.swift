@testable import Trainer

/// Numbers that are the same in every run (SplitMix64: Steele, Lea and Flood 2014).
struct RandomNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    mutating func uniform() -> Float { Float(next() >> 40) / Float(1 << 23) - 1 }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func fill(_ matrix: Matrix, scale: Float = 1, around center: Float = 0) {
        matrix.forEach { matrix[$0, $1] = center + scale * uniform() }
    }
}

extension Matrix {
    func forEach(_ body: (Int, Int) -> Void) {
        for row in 0..<rows { for column in 0..<columns { body(row, column) } }
    }

    var elements: [Float] { (0..<rows).flatMap { row in (0..<columns).map { self[row, $0] } } }
}

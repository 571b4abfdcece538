@testable import Trainer

/// Numbers that are the same in every run.
struct RandomNumbers {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// Uniform in [-1, 1).
    mutating func uniform() -> Float { Float(random.next() >> 40) / Float(1 << 23) - 1 }

    mutating func below(_ bound: Int) -> Int { random.below(bound) }

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

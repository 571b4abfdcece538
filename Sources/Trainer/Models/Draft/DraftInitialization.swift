import Shared

/// First weights of drafts.
extension ParameterStore {
    /// Norms 1, matrices uniform within ±1/√(in features), by a seed: the same on every rank and machine.
    ///
    /// As torch's `Linear`, and so EAGLE and SpecForge 0.2.0. Each tensor has a sequence of its own, so that its
    /// elements don't depend on the others' shapes.
    func fillUniformly(seed: UInt64) {
        for (index, parameter) in parameters.enumerated() {
            guard parameter.weight.rows > 1 else {
                parameter.weight.fill(1)
                continue
            }
            var random = SplitMix64(seed: seed &+ UInt64(index) &* 0x5851_F42D_4C95_7F2D)
            let range = Self.range(parameter.weight)
            for row in 0..<parameter.weight.rows {
                for column in 0..<parameter.weight.columns {
                    parameter.weight[row, column] = Float((2 * random.uniform() - 1) * range)
                }
            }
        }
    }

    /// The first weights of a matrix are within ± this.
    static func range(_ weight: Matrix) -> Double { 1 / Double(weight.columns).squareRoot() }
}

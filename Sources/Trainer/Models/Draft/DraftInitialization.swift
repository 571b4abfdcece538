import Shared

/// First weights of drafts, and weights from checkpoints.
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

    /// Reads every weight from a checkpoint, which has no others.
    ///
    /// - Throws: `WeightsError` that names the tensor that is missing, misshapen, not of finite numbers, or no part of
    ///   the draft that its configuration describes.
    func load(_ file: SafetensorsFile) throws(WeightsError) {
        for (name, shape, values) in tensors {
            let tensor = try file.tensor(name)
            try tensor.expect(shape)
            try tensor.copy(
                rows: 0..<values.rows, columns: 0..<values.columns, into: values.start, stride: values.stride)
            for row in 0..<values.rows {
                let start = values.row(row)
                guard let column = (0..<values.columns).first(where: { !start[$0].isFinite }) else { continue }
                throw tensor.error("has \(start[column]) in row \(row), column \(column), should be finite")
            }
        }
        let names = Set(tensors.map(\.name)).union(Self.ignoredTensors)
        let others = file.tensors.keys.filter { !names.contains($0) && !$0.hasSuffix("rotary_emb.inv_freq") }
        if let name = others.min() {
            let tensor = try file.tensor(name)
            throw tensor.error("of shape \(tensor.shape) is no part of the draft that config.json describes")
        }
    }

    /// Tensors of drafts' checkpoints that aren't the draft's weights, besides tables of rotation: the vocabulary
    /// mapping, read by itself, and the target's embedding.
    private static let ignoredTensors: Set<String> = ["d2t", "t2d", "embed_tokens.weight"]
}

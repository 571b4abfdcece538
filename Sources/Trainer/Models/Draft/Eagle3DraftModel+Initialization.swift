import Shared

/// First weights, and weights from and to checkpoints.
extension Eagle3DraftModel {
    /// Norms 1, matrices uniform within ±1/√(in features), by a seed: the same on every rank and machine.
    ///
    /// As torch's `Linear`, and so EAGLE and SpecForge 0.2.0. Each tensor has a sequence of its own, so that its
    /// numbers don't depend on the others' shapes.
    func initialize(seed: UInt64) {
        for (index, parameter) in parameters.parameters.enumerated() {
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
    private static func range(_ weight: Matrix) -> Double { 1 / Double(weight.columns).squareRoot() }

    /// Takes the rows of the target's head that the draft vocabulary has, in the size of `initialize`'s numbers.
    ///
    /// So the draft begins with a head that knows which tokens are alike. In the target's own scale its logits would
    /// be as decided as the target's from the first step on, which costs hundreds of steps to unlearn. A head that
    /// isn't trained keeps that scale, or it could never be as decided as the target.
    func initializeHead(
        _ target: any DistributedTargetModel, draftToTarget: [Int32]
    ) {
        let head = lmHead.weight.weight
        target.headRows(draftToTarget, into: head)
        if lmHead.weight.isFrozen { return }
        var squares = 0.0
        for row in 0..<head.rows { squares += Double(dot(head.row(row), head.row(row), head.columns)) }
        guard squares > 0 else { return }
        // A uniform number within ±a has the mean square a²/3.
        let factor = Float(Self.range(head) / (3 * squares / Double(head.count)).squareRoot())
        for row in 0..<head.rows {
            for column in 0..<head.columns { head[row, column] *= factor }
        }
    }

    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting {
        parameters.round()
        return DraftDecoder(self, draftToTarget: draftToTarget, capacity: capacity, workspace: workspace, embed: embed)
    }
}

extension ParameterStore {
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
        if let name = file.tensors.keys.sorted().first(where: { !names.contains($0) }) {
            let tensor = try file.tensor(name)
            throw tensor.error("of shape \(tensor.shape) is no part of the draft that config.json describes")
        }
    }

    /// Tensors of drafts' checkpoints that aren't the draft's weights: the vocabulary mapping, read by itself, the
    /// target's embedding and computed tables.
    private static let ignoredTensors: Set<String> = [
        "d2t", "t2d", "embed_tokens.weight", "midlayer.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq",
    ]
}

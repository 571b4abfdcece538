import Shared

/// One micro batch of a rank, for planning: sequences without text, and the target's arithmetic for them.
struct StepSizes {
    let sequences: [TrainingSequence]
    /// Ranks that share the target, each with as many rows.
    let tpSize: Int

    /// - Parameters:
    ///   - supervised: The share of each sequence's tokens that is learnt, at its end.
    init(sequences: Int, length: Int, supervised: Double, tpSize: Int) {
        let first = length - min(length, max(1, Int((supervised * Double(length)).rounded())))
        let sample = Sample(
            inputIDs: [Int32](repeating: 0, count: length), lossMask: (0..<length).map { $0 >= first })
        self.sequences = (0..<sequences).map { TrainingSequence(sample: sample, seed: UInt64($0)) }
        self.tpSize = tpSize
    }

    /// Rows of a rank, and of all ranks that share the target.
    var rows: Int { sequences.reduce(0) { $0 + $1.length } }
    var groupRows: Int { tpSize * rows }
    /// Tokens of the longest sequence.
    var length: Int { sequences.map(\.length).max() ?? 0 }

    /// The rank that has them.
    func rank(_ target: DecoderTargetModel, _ compute: Compute) -> PlannedRank {
        PlannedRank(
            tpSize: tpSize, targetHiddenSize: target.configuration.hiddenSize,
            vocabularyCount: target.vocabulary.count, compute: compute)
    }

    /// FLOP of one layer of the target, on this rank.
    func operations(_ layer: DecoderLayer) -> Double {
        let attention = layer.attention
        let pairs = Batch(sequences).positions.reduce(0.0) { sum, position in
            sum + Double(Int(position) + 1 - attention.attention.span.first(of: Int(position) + 1))
        }
        let width = Double(attention.attention.numHeads * attention.attention.headDim)
        return 2 * Double(groupRows) * layer.multipliedWeights + Double(tpSize) * 4 * pairs * width
    }

    /// FLOP of the draft and of the logits that are learnt from, on this rank.
    func operations(_ draft: any DraftModel, _ target: DecoderTargetModel, _ compute: Compute) -> Double {
        let workload = draft.workload(sequences, on: rank(target, compute))
        let teacher =
            2 * Double(tpSize * workload.targetRows) * Double(target.vocabulary.count)
            * Double(target.configuration.hiddenSize)
        return workload.operations + teacher
    }
}

extension DecoderLayer {
    /// This rank's weights that a row is multiplied with; of experts, as many as a row goes to on average.
    var multipliedWeights: Double {
        let own = attention.qkv.weight.count + attention.output.weight.count
        switch feedForward {
        case .dense(let mlp): return Double(own + mlp.weightCount)
        case .experts(let mixture):
            let all = mixture.experts.values.reduce(0) { $0 + $1.weightCount }
            let everyRows = own + mixture.router.weight.count + (mixture.shared?.weightCount ?? 0)
            return Double(everyRows) + mixture.rowsPerExpert * Double(all)
        }
    }
}

extension MixtureOfExperts {
    /// The rows that an expert gets of each row, on average.
    var rowsPerExpert: Double { Double(expertsPerToken) / Double(router.weight.rows) }
}

extension GatedMLP {
    var weightCount: Int { gateUp.weight.count + down.weight.count }
}

extension FrozenWeight {
    fileprivate var count: Int { rows * columns }
}

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
        let products = Double(groupRows) * (2 * layer.multipliedWeights + layer.stateOperations)
        guard let attention = layer.heads?.attention else { return products }
        let pairs = Batch(sequences).positions.reduce(0.0) { sum, position in
            sum + Double(Int(position) + 1 - attention.span.first(of: Int(position) + 1))
        }
        return products + Double(tpSize) * 4 * pairs * Double(attention.numHeads * attention.headDim)
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
        let own = Double(mixerWeightCount)
        return switch feedForward {
        case .none: own
        case .dense(let mlp): own + Double(mlp.weightCount)
        case .experts(let mixture): own + mixture.multipliedWeights
        case .both(let both): own + Double(both.mlp.weightCount) + both.mixture.multipliedWeights
        }
    }
}

extension MixtureOfExperts {
    fileprivate var multipliedWeights: Double {
        let all = experts.values.reduce(0) { $0 + $1.weightCount }
        return Double(routing.router.weight.count + (shared?.weightCount ?? 0)) + rowsPerExpert * Double(all)
    }

    /// The rows that an expert gets of each row, on average.
    var rowsPerExpert: Double { Double(routing.expertsPerToken) / Double(routing.expertCount) }
}

extension GatedMLP {
    var weightCount: Int { gateUp.weight.count + down.weight.count }
}

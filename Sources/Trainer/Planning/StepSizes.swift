import Shared

/// What one micro batch of a rank comes to: rows, labels and arithmetic.
struct StepSizes {
    /// The sequences of a rank's micro batch.
    let samples: [Sample]
    let plan: TrainingTimeTestPlan
    /// Ranks that share the target, each with as many rows.
    let tpSize: Int
    private let lessons: Lessons

    /// What the draft learns of a sequence.
    struct Lessons {
        /// Steps of training-time test.
        var tttLength: Int
        var alignment: TrainingTimeTestPlan.LossMaskAlignment
        /// Whether the draft's head isn't trained.
        var freezesHead: Bool

        func with(tttLength: Int) -> Lessons {
            Lessons(tttLength: tttLength, alignment: alignment, freezesHead: freezesHead)
        }
    }

    /// - Parameters:
    ///   - supervised: The share of each sequence's tokens that is learnt, at its end.
    init(sequences: Int, length: Int, supervised: Double, _ lessons: Lessons, tpSize: Int) {
        let first = length - min(length, max(1, Int((supervised * Double(length)).rounded())))
        let sample = Sample(
            inputIDs: [Int32](repeating: 0, count: length), lossMask: (0..<length).map { $0 >= first })
        self.init(samples: [Sample](repeating: sample, count: sequences), lessons, tpSize: tpSize)
    }

    /// The same sequences with another number of steps of training-time test.
    func with(tttLength: Int) -> StepSizes {
        StepSizes(samples: samples, lessons.with(tttLength: tttLength), tpSize: tpSize)
    }

    private init(samples: [Sample], _ lessons: Lessons, tpSize: Int) {
        self.samples = samples
        self.tpSize = tpSize
        self.lessons = lessons
        plan = TrainingTimeTestPlan(Batch(samples), tttLength: lessons.tttLength, alignment: lessons.alignment)
    }

    /// Rows of a rank, and of all ranks that share the target.
    var rows: Int { plan.allPositions.count }
    var groupRows: Int { tpSize * rows }
    var activeRows: Int { plan.activeRows.count }
    var targetRows: Int { Set(plan.labels.compactMap(\.targetRow)).count }

    /// FLOP of one layer of the target, on this rank.
    func operations(_ layer: DecoderLayer) -> Double {
        let attention = layer.attention
        let pairs = plan.allPositions.reduce(0.0) { sum, position in
            sum + Double(Int(position) + 1 - attention.attention.span.first(of: Int(position) + 1))
        }
        let width = Double(attention.attention.numHeads * attention.attention.headDim)
        return 2 * Double(groupRows) * layer.multipliedWeights + Double(tpSize) * 4 * pairs * width
    }

    /// FLOP of the logits that are learnt from, on this rank.
    func teacherOperations(_ target: DecoderTargetModel) -> Double {
        2 * Double(tpSize * targetRows) * Double(target.vocabulary.count) * Double(target.configuration.hiddenSize)
    }

    /// FLOP of the draft, forward and backward: three products for each weight and row, two where nobody needs the
    /// gradient of the input, or of the weight.
    func operations(_ shape: Eagle3DraftModel.Shape) -> Double {
        let (r, a, t) = (Double(rows), Double(activeRows), Double(plan.tttLength))
        let (h, wide, layers) = (
            Double(shape.hiddenSize), Double(shape.intermediateSize), Double(shape.numHiddenLayers)
        )
        let (q, kv) = (Double(shape.queryWidth), Double(shape.keyValueWidth))
        let fc = 2 * 2 * r * 3 * Double(shape.targetHiddenSize) * h
        // The first layer's inputs are twice as wide; all but the last compute all rows in step 0.
        let first = ((layers - 1) * r + a) / layers
        let qkv = 6 * (layers + 1) * h * (r * 2 * kv + first * q + (t - 1) * a * (q + 2 * kv))
        let rest = 6 * layers * (first + (t - 1) * a) * (q * h + 3 * h * wide)
        let head = (lessons.freezesHead ? 4 : 6) * Double(plan.labels.count) * h * Double(shape.draftVocabSize)
        let visible = plan.visible.reduce(0.0) { $0 + Double($1) }
        let attention = layers * 14 * q * t * (visible + a * (t - 1) / 2)
        return fc + qkv + rest + head + attention
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

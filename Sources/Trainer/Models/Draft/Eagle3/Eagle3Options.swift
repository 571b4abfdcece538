import Shared

extension TrainingTimeTestPlan.LossMaskAlignment: OptionValue {}

/// How an EAGLE-3 draft learns.
struct Eagle3Options: DraftTrainingOptions {
    var measuring = Eagle3MeasuringOptions()
    @Option("Factor by which the loss of each further step of training-time test is multiplied.", in: 0...1)
    var tttLossDecay: Float = 0.8
    @Option("Which tokens are learnt: those a draft is asked for, or those that EAGLE and SpecForge learn.")
    var lossMaskAlignment: TrainingTimeTestPlan.LossMaskAlignment = .label

    var training: Eagle3Training {
        Eagle3Training(tttLength: measuring.tttLength, alignment: lossMaskAlignment, lossDecay: tttLossDecay)
    }
}

/// By what an EAGLE-3 draft is measured.
struct Eagle3MeasuringOptions: Options {
    @Option("Steps of training-time test.", in: 1...64) var tttLength: Int = 7
}

/// Training-time test: how many steps, which tokens they learn, and what each counts.
struct Eagle3Training: Equatable, Sendable {
    var tttLength = 7
    var alignment = TrainingTimeTestPlan.LossMaskAlignment.label
    /// The loss of step k counts `lossDecay`^k, as EAGLE's 0.8.
    var lossDecay: Float = 0.8

    /// What each step counts in the gradient.
    var stepWeights: [Float] {
        (1..<max(1, tttLength)).reduce(into: [1]) { weights, _ in weights.append((weights.last ?? 1) * lossDecay) }
    }

    /// The same in double precision: what each step counts in the loss that is reported.
    var reportedWeights: [Double] {
        (1..<max(1, tttLength)).reduce(into: [1]) { weights, _ in
            weights.append((weights.last ?? 1) * Double(lossDecay))
        }
    }

    /// Up to the last supervised token, by which labels are known; as EAGLE aligns them, that one's own distribution is
    /// learnt beside the next one's.
    func neededTokens(_ sample: Sample) -> Int {
        let last = sample.lossMask.lastIndex(of: true) ?? 0
        return min(sample.inputIDs.count, last + (alignment == .eagle ? 2 : 1))
    }

    func plan(_ sequences: [TrainingSequence]) -> TrainingTimeTestPlan {
        TrainingTimeTestPlan(Batch(sequences), tttLength: tttLength, alignment: alignment)
    }
}

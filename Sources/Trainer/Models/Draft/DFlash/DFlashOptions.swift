import Shared

extension BlockLoss.Label: OptionValue {}
extension BlockPlan.LabelMask: OptionValue {}
extension PositionWeights.Kind: OptionValue {}

/// How a draft that drafts in blocks learns.
struct DFlashOptions: DraftTrainingOptions {
    var measuring = DFlashMeasuringOptions()
    @Option("Weight of the cross-entropy to one token, by --block-labels.", in: 0...1000) var ceLossWeight: Float = 1
    @Option("Weight of the Kullback-Leibler divergence from the target's distribution.", in: 0...1000)
    var klLossWeight: Float = 0
    @Option("Weight of the total variation distance to it, which is the share of drafts rejected.", in: 0...1000)
    var tvLossWeight: Float = 0
    @Option("Weight of the confidence head's binary cross-entropy, of drafts that have one.", in: 0...1000)
    var confidenceLossWeight: Float = 1
    @Option("What cross-entropy learns: the target's likeliest token, or the text's.")
    var blockLabels: BlockLoss.Label = .target
    @Option(
        "Which rows of a block learn: up to the first whose token isn't supervised, each whose token is, or each that is "
            + "itself.")
    var blockMask: BlockPlan.LabelMask = .prefix
    @Option("What each position of a block counts: by the draft's own probabilities, or e^(-position/gamma).")
    var positionWeights: PositionWeights.Kind = .dpace
    @Option("Gamma of --position-weights decay.", in: 0.001...1000) var positionGamma: Float = 4
    @Option("Alpha of --position-weights dpace.", in: 0...1) var dpaceAlpha: Float = 0.5
    @Flag("Divide the loss by the sum of --position-weights decay, not by the number of labels.")
    var divideByWeights

    var training: BlockTraining {
        BlockTraining(
            loss: BlockLoss(
                ce: ceLossWeight, kl: klLossWeight, tv: tvLossWeight, confidence: confidenceLossWeight,
                label: blockLabels,
                weights: PositionWeights(
                    kind: positionWeights, gamma: positionGamma, alpha: dpaceAlpha, dividesByWeights: divideByWeights)),
            mask: blockMask, anchors: .drawn(measuring.numAnchors))
    }
}

/// By what such a draft is measured.
struct DFlashMeasuringOptions: Options {
    @Option("The most blocks of a sequence, each from an anchor that each epoch draws for itself.", in: 1...1 << 20)
    var numAnchors: Int = 512
}

/// How a draft that drafts in blocks learns.
struct BlockTraining: Sendable {
    var loss = BlockLoss()
    var mask = BlockPlan.LabelMask.prefix
    var anchors = Anchors.drawn(512)

    /// Where a sequence's blocks begin.
    enum Anchors: Sendable {
        /// At most this many, drawn by the sequence's seed.
        case drawn(Int)
        /// Those of each seed.
        case given([UInt64: [Int]])
    }

    func anchors(_ sequence: TrainingSequence) -> [Int] {
        switch anchors {
        case .drawn(let count): BlockPlan.draw(sequence.sample.lossMask, count: count, seed: sequence.seed)
        case .given(let all): all[sequence.seed] ?? []
        }
    }

    func plan(_ sequences: [TrainingSequence], _ shape: BlockShape) -> BlockPlan {
        BlockPlan(sequences, anchors: sequences.map(anchors), shape, mask)
    }

    /// What the loss of a step is divided by, of one sequence.
    func divisor(_ sequence: TrainingSequence, _ shape: BlockShape) -> Double {
        let mask = sequence.sample.lossMask
        return anchors(sequence).reduce(0) { sum, anchor in
            BlockPlan.learnt(mask, anchor, shape, self.mask).reduce(sum) {
                $0 + loss.weights.divisor($1)
            }
        }
    }

    /// What is minimised, by its statistics.
    func loss(_ statistics: TrainingStatistics) -> Double {
        let divisor = statistics.positions.enumerated().reduce(0) {
            $0 + $1.element.labels * loss.weights.divisor($1.offset)
        }
        return statistics.positions.reduce(0) { $0 + $1.objective } / (divisor > 0 ? divisor : 1)
    }
}

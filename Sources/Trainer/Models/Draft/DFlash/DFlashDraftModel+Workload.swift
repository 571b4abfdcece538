import Shared

/// What training takes: elements of activations, and FLOP.
extension DFlashDraftModel {
    var headOperations: Double { head.head.operations + (head.markov?.operations ?? 0) }

    var cost: @Sendable (Sample) -> Double {
        let (shape, training, head) = (shape, training, headOperations)
        return { sample in
            // The seed moves anchors about, and hardly changes how much there is to compute.
            let plan = training.plan([TrainingSequence(sample: sample)], shape)
            return Self.operations(plan) + head * Double(plan.labels.all.count)
        }
    }

    func workload(_ sequences: [TrainingSequence], on rank: PlannedRank) -> DraftWorkload {
        let plan = training.plan(sequences, shape)
        let (h, q, kv, wide) = (shape.hiddenSize, shape.queryWidth, shape.keyValueWidth, shape.intermediateSize)
        let (rows, context) = (plan.rowCount, plan.contextCount)
        let layer = 3 * context * kv + rows * (3 * h + 3 * q + 3 * kv + shape.numAttentionHeads + 2 * wide)
        let kept = 2 * context * h + rows * h + layers.count * layer + rows * h
        let scores =
            layers.map { $0.attention.elements(plan.segments, rows: rows, context: context, rank.compute) }.max() ?? 0
        let gradients = rows * (2 * q + 2 * kv) + 2 * context * kv
        let backward = context * h + max(rows * (q + 2 * wide + 2 * h), gradients + max(scores, 2 * rows * h))
        let labels = plan.labels.pieces().map(\.labels.count).max() ?? 0
        let markov = 2 * labels * shape.markovRank
        return DraftWorkload(
            elements: kept + max(head.head.elements(plan.labels, on: rank) + markov, backward),
            roundedElements: (
                input: max(rows * wide, context * shape.featureCount * h), gradient: max(2 * rows * wide, context * h)
            ),
            targetRows: plan.labels.targetRows.count,
            operations: Self.operations(plan) + headOperations * Double(plan.labels.all.count),
            products: head.head.products(plan.labels, on: rank) + [
                ProductSize(rows: rows, inputs: h, outputs: 2 * wide),
                ProductSize(rows: context, inputs: shape.featureCount * h, outputs: h),
            ])
    }

    func necessaryWork(_ sequence: TrainingSequence) -> NecessaryWork {
        let plan = training.plan([sequence], shape)
        let logits = plan.labels.targetRows.sorted()
        return NecessaryWork(
            targetRows: max((logits.last ?? -1) + 1, plan.contextCount), logits: logits,
            operations: Self.operations(plan))
    }

    /// FLOP of `fc` and the layers, forward and backward: three products for each weight and row, two of `fc`, as nobody
    /// needs the gradient of the features.
    private static func operations(_ plan: BlockPlan) -> Double {
        let shape = plan.shape
        let (h, q, kv) = (Double(shape.hiddenSize), Double(shape.queryWidth), Double(shape.keyValueWidth))
        let (rows, context) = (Double(plan.rowCount), Double(plan.contextCount))
        let layers = Double(shape.numHiddenLayers)
        let row = 2 * h * q + 2 * h * kv + 3 * h * Double(shape.intermediateSize)
        let keys = shape.spans.reduce(0.0) { sum, span in
            plan.anchors.reduce(sum) { $0 + Double(min($1, span.window ?? $1) + shape.blockSize) }
        }
        return 4 * context * Double(shape.featureCount) * h * h + layers * (6 * rows * row + 12 * context * h * kv)
            + 12 * q * Double(shape.blockSize) * keys
    }
}

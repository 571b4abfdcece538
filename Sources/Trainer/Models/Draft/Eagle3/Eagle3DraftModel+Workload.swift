import Shared

/// What training takes: elements of activations, FLOP, and how long by trial.
extension Eagle3DraftModel {
    func workload(_ sequences: [TrainingSequence], on rank: PlannedRank) -> DraftWorkload {
        let plan = training.plan(sequences)
        let (labels, elements) = (plan.draftLabels, Eagle3Activations(self, plan, rank.compute))
        let (h, q, kv) = (configuration.hiddenSize, configuration.queryWidth, configuration.keyValueWidth)
        let (rows, active, wide) = (plan.allPositions.count, plan.activeRows.count, configuration.intermediateSize)
        let features = FeatureFusion.featureCount * configuration.targetHiddenSize
        let headLabels = labels.pieces().map(\.labels.count).max() ?? 0
        return DraftWorkload(
            elements: elements.record + elements.dHidden + max(head.elements(labels, on: rank), elements.backward),
            roundedElements: (
                input: max(2 * active * wide, rows * features, headLabels * h),
                gradient: max(rows * features, active * wide)
            ),
            targetRows: labels.targetRows.count,
            operations: operations(plan) + head.operations * Double(plan.labels.count),
            products: head.products(labels, on: rank) + [
                ProductSize(rows: active, inputs: h, outputs: 2 * wide),
                ProductSize(rows: active, inputs: 2 * h, outputs: q + 2 * kv),
                ProductSize(rows: rows, inputs: features, outputs: h),
            ])
    }

    /// FLOP of the layers and `fc`, forward and backward: three products for each weight and row, two where nobody
    /// needs the gradient of the input.
    private func operations(_ plan: TrainingTimeTestPlan) -> Double {
        let shape = configuration
        let (r, a, t) = (Double(plan.allPositions.count), Double(plan.activeRows.count), Double(plan.tttLength))
        let (h, wide, layers) = (
            Double(shape.hiddenSize), Double(shape.intermediateSize), Double(shape.numHiddenLayers)
        )
        let (q, kv) = (Double(shape.queryWidth), Double(shape.keyValueWidth))
        let fc = 2 * 2 * r * Double(FeatureFusion.featureCount * shape.targetHiddenSize) * h
        // The first layer's inputs are twice as wide; all but the last compute all rows in step 0.
        let first = ((layers - 1) * r + a) / layers
        let qkv = 6 * (layers + 1) * h * (r * 2 * kv + first * q + (t - 1) * a * (q + 2 * kv))
        let rest = 6 * layers * (first + (t - 1) * a) * (q * h + 3 * h * wide)
        let visible = plan.visible.reduce(0.0) { $0 + Double($1) }
        let attention = layers * 14 * q * t * (visible + a * (t - 1) / 2)
        return fc + qkv + rest + attention
    }

    func neededTokens(_ sample: Sample) -> Int { training.neededTokens(sample) }

    /// Forward and backward, 6 for each weight, in every step of training-time test, from the supervised tokens; and 12 of
    /// queries' width for each key that they see.
    var cost: @Sendable (Sample) -> Double {
        let row = 6 * Double(training.tttLength) * Double(parameters.weights.count)
        let pair = 12 * Double(training.tttLength * configuration.numHiddenLayers * configuration.queryWidth)
        return { sample in
            let supervised = Double(sample.lossMask.reduce(0) { $0 + ($1 ? 1 : 0) })
            // Answers stand at the end: their rows see half of each other, and all that stands before them.
            return supervised * row + supervised * (Double(sample.inputIDs.count) - supervised / 2) * pair
        }
    }

    /// One step and a few: what the few take more, each further step takes.
    var trial: DraftTrial {
        let steps = training.tttLength
        let few = min(3, steps)
        return DraftTrial(drafts: few > 1 ? [with(steps: 1), with(steps: few)] : [self]) { seconds in
            Self.extrapolated(first: seconds[0], together: seconds[seconds.count - 1], of: few, to: steps)
        }
    }

    /// How long `steps` steps take, of which the first and the first `few` together were measured.
    ///
    /// No less than the first: on a busy machine it may have taken longer than the few did.
    static func extrapolated(first: Double, together: Double, of few: Int, to steps: Int) -> Double {
        first + Double(steps - 1) * max(0, together - first) / Double(max(1, few - 1))
    }

    private func with(steps: Int) -> Eagle3DraftModel {
        var training = training
        training.tttLength = steps
        return with(training)
    }

    var headOperations: Double { head.operations }

    func necessaryWork(_ sequence: TrainingSequence) -> NecessaryWork {
        let rows = NeededRows(training.plan([sequence]))
        return NecessaryWork(
            targetRows: rows.target, logits: rows.logits, operations: necessaryOperations(rows))
    }

    /// `fc` and the draft's layers, forward and backward: products of `NeededRows` alone, each counted once.
    private func necessaryOperations(_ rows: NeededRows) -> Double {
        let draft = configuration
        let (h, q, kv) = (Double(draft.hiddenSize), Double(draft.queryWidth), Double(draft.keyValueWidth))
        let (all, later) = (Double(rows.features), Double(rows.steps.dropFirst().reduce(0, +)))
        // The target learns nothing: the features' gradient is needed by norms before `fc` alone.
        let fcFactor: Double = draft.fcNorm || draft.normBeforeFC ? 6 : 4
        let fc = fcFactor * all * Double(FeatureFusion.featureCount * draft.targetHiddenSize) * h
        return (0..<draft.numHiddenLayers).reduce(fc) { sum, layer in
            let inputs = layer == 0 ? 2 * h : h
            // All rows of step 0 become keys and values of the next layer; of the last layer they are needed no more.
            let isLast = layer == draft.numHiddenLayers - 1
            let first = isLast ? Double(rows.steps[0]) : all
            let keys = rows.seenKeys.dropFirst().reduce(isLast ? rows.seenKeys[0] : all * (all + 1) / 2, +)
            let others = inputs * q + q * h + 3 * h * Double(draft.intermediateSize)
            return sum + 6 * (all + later) * inputs * 2 * kv + 6 * (first + later) * others + 12 * q * keys
        }
    }
}

/// What `Workspace` holds when `learn` needs the most: the matrices of the steps and of the backward pass, in elements.
struct Eagle3Activations {
    private let draft: Eagle3DraftModel
    private let plan: TrainingTimeTestPlan
    private let compute: Compute

    init(_ draft: Eagle3DraftModel, _ plan: TrainingTimeTestPlan, _ compute: Compute) {
        (self.draft, self.plan, self.compute) = (draft, plan, compute)
    }

    private var shape: Eagle3DraftModel.Shape { draft.configuration }
    private var h: Int { shape.hiddenSize }
    private var rows: Int { plan.allPositions.count }
    private var active: Int { plan.activeRows.count }
    private var tttLength: Int { plan.tttLength }
    private var length: Int { plan.segments.map(\.keys.count).max() ?? 0 }

    /// What the steps keep for the backward pass.
    var record: Int {
        let (q, kv) = (shape.queryWidth, shape.keyValueWidth)
        let each = 2 * q + shape.numAttentionHeads + 2 * h
        let kept = min(tttLength, draft.keptGateUpRows / max(1, active))
        let layers = (0..<shape.numHiddenLayers).map { layer in
            // Every layer but the last computes all rows in step 0.
            let computed = layer == shape.numHiddenLayers - 1 ? active : rows
            // A step's input is recomputed in the backward pass: one at a time.
            let first = rows * 2 * kv + computed * each
            let gateUp = kept > 0 ? computed + (kept - 1) * active : 0
            return first + (tttLength - 1) * active * (2 * kv + each) + gateUp * 2 * shape.intermediateSize
        }
        let outputs = shape.normOutput ? (tttLength - 1) * active * h : 0
        return rows * h + outputs + layers.reduce(0, +)
    }

    /// The gradients of all steps' hidden states.
    var dHidden: Int { tttLength * active * h }

    /// The gradients of keys and values, and the largest of what a step takes besides.
    var backward: Int {
        let (q, kv) = (shape.queryWidth, shape.keyValueWidth)
        let keyValues = 2 * kv * (rows + (tttLength - 1) * active) * shape.numHiddenLayers
        // Each part of the blocks adds to gradients of keys and values of its own.
        let longest = plan.segments.map(\.queries.count).max() ?? 0
        let splits = Attention.splits(longest: longest, plan.segments.count, shape.numKeyValueHeads).count
        let parts = KeyValueParts.elements(splits, rows: rows, width: kv)
        let operands = [(active, q), (active, q), (rows, kv), (rows, kv)]
        let rounded = operands.map { Operand.floats(rows: $0.0, columns: $0.1, compute.precision) }.reduce(0, +)
        let scores =
            AttentionTile.floats(rows: active, keys: length, ownCount: tttLength - 1, compute) + parts + rounded
        func layer(computed: Int, given: Int, inputs: Int) -> Int {
            let gathered = computed < given ? 2 * inputs * computed : 0
            // The input, in the first layer with the embedding in it, and its gradient.
            let embedding = inputs > h ? given * h : 0
            let input = 2 * given * inputs + embedding + computed * q + max(scores, gathered)
            let isKept = tttLength * active <= draft.keptGateUpRows
            let mlp = (isKept ? 2 : 4) * shape.intermediateSize + 2 * h
            return computed * q + max(computed * mlp, input)
        }
        let isOne = shape.numHiddenLayers == 1
        let last = rows * h + layer(computed: active, given: rows, inputs: isOne ? 2 * h : h)
        let others = isOne ? 0 : rows * h + layer(computed: rows, given: rows, inputs: 2 * h)
        return keyValues + max(last, others)
    }
}

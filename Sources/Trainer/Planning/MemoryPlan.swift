import Shared

/// The memory of a rank that trains: what it will have in use when it has the most.
struct MemoryPlan {
    /// What takes memory, and how many bytes.
    let parts: [(name: String, bytes: Int)]

    var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }

    /// - Parameters:
    ///   - process: What a process takes that has read nothing yet.
    ///   - target: This rank's part, laid out.
    ///   - parameters: The draft's.
    ///   - ranks: Those that divide the moments.
    ///   - compute: What a rank computes with.
    init(
        process: Int, _ target: DecoderTargetModel, _ shape: Eagle3DraftModel.Shape, _ parameters: ParameterStore,
        _ sizes: StepSizes, ranks: Int, _ compute: Compute
    ) {
        let (count, trainedCount) = (parameters.weights.count, parameters.gradients.count)
        let activations = ActivationPlan(target, shape, sizes, compute)
        var parts = [
            ("the program", process), ("the target's weights", target.memory.byteCount),
            ("the draft's weights", 4 * count), ("its gradients", 4 * trainedCount),
            ("the optimizer's moments", 8 * trainedCount / ranks), ("activations", 4 * activations.floats),
        ]
        if ranks > 1 {
            parts.append(("gradients on their way", GradientReduction.pendingBytes(trainedCount, ranks: ranks)))
        }
        if compute.precision == .bfloat16 {
            parts.append(("rounded weights of the draft", parameters.roundedByteCount))
            parts.append(("other rounded operands", 2 * activations.roundedNumbers))
        }
        self.parts = parts
    }
}

/// What `Workspace` holds when it holds the most: the matrices of `OnlineEagle3.run` and what it calls, in floats.
struct ActivationPlan {
    private let target: DecoderTargetModel
    private let shape: Eagle3DraftModel.Shape
    private let sizes: StepSizes
    private let compute: Compute

    init(_ target: DecoderTargetModel, _ shape: Eagle3DraftModel.Shape, _ sizes: StepSizes, _ compute: Compute) {
        (self.target, self.shape, self.sizes, self.compute) = (target, shape, sizes, compute)
    }

    var floats: Int { features + max(targetLayers, record + dHidden + max(head, backward)) }

    private var h: Int { shape.hiddenSize }
    private var active: Int { sizes.activeRows }
    private var tttLength: Int { sizes.plan.tttLength }
    private var length: Int { sizes.samples.map(\.inputIDs.count).max() ?? 0 }

    /// The target's embedding, hidden states and the three layers that the draft sees.
    private var features: Int {
        let extended = sizes.groupRows + sizes.tpSize * sizes.samples.count
        return (extended + sizes.groupRows + 3 * sizes.rows) * target.configuration.hiddenSize
    }

    /// What the target's layer takes that takes the most.
    private var targetLayers: Int {
        target.layers.map { layer in
            let (attention, rows) = (layer.attention, sizes.groupRows)
            let norms = (layer.attentionNorms.output == nil ? 1 : 2) * target.configuration.hiddenSize
            let attended = rows * (attention.qkv.weight.rows + attention.output.weight.columns)
            let scratch = attention.attention.scratchCount(
                longest: length, rows: rows, keyValueWidth: attention.keyValueWidth, threads: compute.threads)
            return rows * norms + max(attended + scratch, floats(layer.feedForward, rows: rows))
        }.max() ?? 0
    }

    /// What a feed-forward network takes of `rows`: of a mixture its router, its shared expert or one expert, which has
    /// as many rows as each has on average.
    private func floats(_ network: DecoderLayer.FeedForward, rows: Int) -> Int {
        switch network {
        case .dense(let mlp): return rows * mlp.width
        case .experts(let mixture):
            let each = mixture.experts.values.first.map { 2 * target.configuration.hiddenSize + $0.width } ?? 0
            let chosen = Int((Double(rows) * mixture.rowsPerExpert).rounded(.up))
            return max(rows * mixture.router.weight.rows, rows * (mixture.shared?.width ?? 0), chosen * each)
        }
    }

    /// What the steps keep for the backward pass.
    private var record: Int {
        let (q, kv) = (shape.queryWidth, shape.keyValueWidth)
        let each = 2 * q + shape.numAttentionHeads + 2 * h
        let kept = min(tttLength, Eagle3DraftModel.defaultKeptGateUpRows / max(1, active))
        let layers = (0..<shape.numHiddenLayers).map { layer in
            // Every layer but the last computes all rows in step 0.
            let computed = layer == shape.numHiddenLayers - 1 ? active : sizes.rows
            // A step's input is recomputed in the backward pass: one at a time.
            let first = sizes.rows * 2 * kv + computed * each
            let gateUp = kept > 0 ? computed + (kept - 1) * active : 0
            return first + (tttLength - 1) * active * (2 * kv + each) + gateUp * 2 * shape.intermediateSize
        }
        let outputs = shape.normOutput ? (tttLength - 1) * active * h : 0
        return sizes.rows * h + outputs + layers.reduce(0, +)
    }

    /// The gradients of all steps' hidden states.
    private var dHidden: Int { tttLength * active * h }

    /// The largest piece of the head.
    private var head: Int {
        let pieces = Eagle3DraftModel.pieces(sizes.plan).map { piece in
            let (labels, rows) = (piece.labels.count, piece.targetRows.count)
            let group = sizes.tpSize * rows
            let columns = shape.draftVocabSize / sizes.tpSize
            let teacher = group * (target.vocabulary.count + columns) + rows * shape.draftVocabSize
            return rows * shape.draftVocabSize + max(teacher, labels * (2 * h + shape.draftVocabSize))
        }
        return pieces.max() ?? 0
    }

    /// The gradients of keys and values, and the largest of what a step takes besides.
    private var backward: Int {
        let (q, kv) = (shape.queryWidth, shape.keyValueWidth)
        let keyValues = 2 * kv * (sizes.rows + (tttLength - 1) * active) * shape.numHiddenLayers
        // Every second block adds to gradients of keys and values of its own.
        let halves = active > AttentionTile.rows ? 2 * kv * sizes.rows : 0
        let operands = [(active, q), (active, q), (sizes.rows, kv), (sizes.rows, kv)]
        let rounded = operands.map { Operand.floats(rows: $0.0, columns: $0.1, compute.precision) }.reduce(0, +)
        let scores =
            AttentionTile.floats(rows: active, keys: length, ownCount: tttLength - 1, compute) + halves + rounded
        func layer(computed: Int, given: Int, inputs: Int) -> Int {
            let gathered = computed < given ? 2 * inputs * computed : 0
            // The input, in the first layer with the embedding in it, and its gradient.
            let embedding = inputs > h ? given * h : 0
            let input = 2 * given * inputs + embedding + computed * q + max(scores, gathered)
            let isKept = tttLength * active <= Eagle3DraftModel.defaultKeptGateUpRows
            let mlp = (isKept ? 2 : 4) * shape.intermediateSize + 2 * h
            return computed * q + max(computed * mlp, input)
        }
        let isOne = shape.numHiddenLayers == 1
        let last = sizes.rows * h + layer(computed: active, given: sizes.rows, inputs: isOne ? 2 * h : h)
        let others = isOne ? 0 : sizes.rows * h + layer(computed: sizes.rows, given: sizes.rows, inputs: 2 * h)
        return keyValues + max(last, others)
    }

    /// Numbers of the largest operands of a product that are rounded for it alone: an input, and a gradient.
    var roundedNumbers: Int {
        let labels = Eagle3DraftModel.pieces(sizes.plan).map(\.labels.count).max() ?? 0
        let inputs = target.layers.map { layer in
            let mlp: GatedMLP? =
                switch layer.feedForward {
                case .dense(let mlp): mlp
                case .experts(let mixture): mixture.shared
                }
            return max(layer.attention.output.weight.columns, mlp?.down.weight.columns ?? 0)
        }
        let first = max(
            2 * active * shape.intermediateSize, 3 * sizes.rows * h, labels * h,
            sizes.groupRows * max(h, inputs.max() ?? 0))
        let second = max(3 * sizes.rows * h, active * shape.intermediateSize)
        return first + second
    }
}

extension GatedMLP {
    /// Floats that a row takes: gate, up and what becomes of them.
    fileprivate var width: Int { gateUp.weight.rows + down.weight.columns }
}

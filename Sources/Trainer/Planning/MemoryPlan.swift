import Shared

/// The memory of a rank that trains: what it will have in use when it has the most.
struct MemoryPlan {
    /// What a process takes more at its first step than when it starts, in bytes.
    ///
    /// Pages of libraries' code, kernels that oneDNN compiles, MPI's buffers and the heap: `Benchmarks/plan.sh` measured
    /// 29 to 58 MB.
    private static let inStep = 55_000_000
    /// What MPI takes more of the heap where ranks share a target and exchange rows and logits, in bytes.
    ///
    /// 39 MB were measured, of which `inStep` has some to spare.
    private static let betweenRanks = 30_000_000

    /// What takes memory, and how many bytes.
    let parts: [(name: String, bytes: Int)]

    var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }

    /// - Parameters:
    ///   - process: What a process takes that has read nothing yet.
    ///   - target: This rank's part, laid out.
    ///   - targetLayers: How many of its layers the draft sees.
    ///   - ranks: Those that divide the moments.
    ///   - decoding: What evaluations keep that decode held-out prompts, in bytes.
    ///   - orthogonalizes: Whether Muon updates the draft's hidden matrices, in the memory of activations.
    ///   - compute: What a rank computes with.
    init(
        process: Int, _ target: DecoderTargetModel, targetLayers: Int, _ draft: any DraftModel, _ sizes: StepSizes,
        ranks: Int, decoding: Int, orthogonalizes: Bool, _ compute: Compute
    ) {
        let parameters = draft.parameters
        let (count, trainedCount) = (parameters.weights.count, parameters.gradients.count)
        let activations = ActivationPlan(target, targetLayers: targetLayers, draft, sizes, compute)
        let matrices = orthogonalizes ? parameters.hiddenTensors : []
        let scratch =
            matrices.map { Orthogonalization.scratch(rows: $0.rows, columns: $0.columns, compute.precision) }.max() ?? 0
        var parts = [
            ("the program", process + Self.inStep + (sizes.tpSize > 1 ? Self.betweenRanks : 0)),
            ("the target's weights", target.memory.byteCount),
            ("the draft's weights", 4 * count), ("its gradients", 4 * trainedCount),
            ("the optimizer's moments", 8 * trainedCount / ranks),
            ("activations", 4 * max(activations.elements, scratch)),
        ]
        if ranks > 1 {
            parts.append(("gradients on their way", GradientReduction.pendingBytes(trainedCount, ranks: ranks)))
        }
        if decoding > 0 { parts.append(("decoding held-out prompts", decoding)) }
        if compute.precision == .bfloat16 {
            parts.append(("rounded weights of the draft", parameters.roundedByteCount))
            parts.append(("other rounded operands", 2 * activations.roundedElements))
        }
        self.parts = parts
    }
}

/// What `Workspace` holds when it holds the most: the matrices of `OnlineDraft.run` and what it calls, in elements.
struct ActivationPlan {
    private let target: DecoderTargetModel
    private let targetLayerCount: Int
    private let appendedTokens: Int
    private let draft: DraftWorkload
    private let sizes: StepSizes
    private let compute: Compute

    /// - Parameter targetLayers: How many of the target's layers the draft sees.
    init(
        _ target: DecoderTargetModel, targetLayers: Int, _ draft: any DraftModel, _ sizes: StepSizes, _ compute: Compute
    ) {
        (self.target, self.sizes, self.compute) = (target, sizes, compute)
        targetLayerCount = targetLayers
        appendedTokens = draft.appendedTokens.count
        self.draft = draft.workload(sizes.sequences, on: sizes.rank(target, compute))
    }

    var elements: Int { features + max(targetLayers, draft.elements) }

    /// The target's embedding, hidden states and the layers that the draft sees.
    private var features: Int {
        let extended = sizes.rows + sizes.sequences.count * appendedTokens
        return (extended + (1 + targetLayerCount) * sizes.rows) * target.configuration.hiddenSize
    }

    /// Rows of the group that the target computes together.
    private var together: Int { TargetFeatures.rowsTogether(sizes.rows, tpSize: sizes.tpSize) }

    /// What the target's layer takes that takes the most.
    private var targetLayers: Int {
        let layers = target.layers.map { layer in
            let mixer = layer.mixerFloats(rows: together, longest: sizes.length, threads: compute.threads)
            return together * layer.normFloats(hiddenSize: target.configuration.hiddenSize)
                + max(mixer, elements(layer.feedForward, rows: together))
        }
        // What is this rank's own alone is computed where it stays.
        let appended = together / max(1, sizes.rows) * sizes.sequences.count * appendedTokens
        let embedded = together > sizes.rows ? (2 * together + appended) * target.configuration.hiddenSize : 0
        return embedded + (layers.max() ?? 0) + together * target.sharedFloats
    }

    /// What a feed-forward network takes of `rows`: of a mixture its router, its shared expert or the experts that are at
    /// work together.
    private func elements(_ network: DecoderLayer.FeedForward, rows: Int) -> Int {
        switch network {
        case .none: return 0
        case .both(let both): return max(rows * both.mlp.width, elements(.experts(both.mixture), rows: rows))
        case .dense(let mlp): return rows * mlp.width
        case .experts(let mixture):
            return max(rows * (mixture.shared?.width ?? 0), mixture.floats(rows: rows))
        }
    }

    /// Elements of the largest operands of a product that are rounded for it alone: an input, and a gradient.
    var roundedElements: Int {
        let inputs = target.layers.map { layer in
            let mlp: GatedMLP? =
                switch layer.feedForward {
                case .none: nil
                case .dense(let mlp): mlp
                case .both(let both): both.mlp
                case .experts(let mixture): mixture.shared
                }
            return max(layer.mixerInputWidth, mlp?.down.weight.columns ?? 0)
        }
        let widest = max(target.configuration.hiddenSize, inputs.max() ?? 0)
        return max(draft.roundedElements.input, together * widest) + draft.roundedElements.gradient
    }
}

extension GatedMLP {
    /// Elements that a row takes: gate, up and what becomes of them.
    fileprivate var width: Int { gateUp.weight.rows + down.weight.columns }
}

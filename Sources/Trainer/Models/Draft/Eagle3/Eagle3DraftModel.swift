import Shared

/// The EAGLE-3 draft, `LlamaForCausalLMEagle3`: a decoder layer, or a few, over the target's features and the next
/// token.
///
///     h₋₁ = fc [f_low | f_mid | f_high]    the target's hidden states, once (`FeatureFusion`)
///     h_k = layers(e_k, h_{k−1})           e_k: embedding of the token of step k (`Eagle3DecoderLayer`)
///     z_k = lm_head norm(h_k)              logits over the draft vocabulary
///
/// The next step's input is h_k before `norm`, or with `norm_output` after it (Li et al. 2025, EAGLE-3; SpecForge's
/// llama3_eagle.py; SGLang's and vLLM's llama_eagle3.py, whose names of options these are). Weights have SpecForge's
/// names; the embedding is the target's and is neither trained nor saved.
struct Eagle3DraftModel: DraftModel {
    let configuration: Shape
    private(set) var training: Eagle3Training
    let parameters: ParameterStore

    let fusion: FeatureFusion
    /// The first of them reads the embedding.
    let layers: [Eagle3DecoderLayer]
    var head: DistillationHead
    let rotary: RotaryEmbedding
    let attention: Attention
    /// Rows, of all steps together, whose gate and up are kept for the backward pass; for more they are recomputed.
    var keptGateUpRows = defaultKeptGateUpRows
    /// Those of seven steps over a sequence of 2,048.
    static let defaultKeptGateUpRows = 7 * 2048

    /// What the model's weights follow from, and what is computed with them.
    struct Shape: Equatable, Sendable {
        var hiddenSize: Int
        var targetHiddenSize: Int
        var intermediateSize: Int
        var numAttentionHeads: Int
        var numKeyValueHeads: Int
        var headDim: Int
        var draftVocabSize: Int
        var rmsNormEpsilon: Float
        var numHiddenLayers = 1
        /// Each of the three features has a norm of its own before `fc`.
        var fcNorm = false
        /// All three together have a norm before `fc`.
        var normBeforeFC = false
        /// The first layer's residual is its hidden state after `hidden_norm`.
        var normBeforeResidual = false
        /// A step hands h_k to the next after `norm`.
        var normOutput = false

        var queryWidth: Int { numAttentionHeads * headDim }
        var keyValueWidth: Int { numKeyValueHeads * headDim }
    }

    /// A model of zeros.
    ///
    /// - Parameters:
    ///   - rotary: Prepared for all positions that will occur: the longest sequence and the steps after it.
    ///   - freezesHead: Whether `lm_head` isn't trained.
    ///   - objective: What is minimised.
    init(
        _ shape: Shape, _ training: Eagle3Training, rotary: RotaryEmbedding, freezesHead: Bool = false,
        objective: DraftObjective = .crossEntropy, _ compute: Compute
    ) {
        configuration = shape
        self.training = training
        let layerDeclarations = (0..<shape.numHiddenLayers).map { Eagle3DecoderLayer.declarations(shape, layer: $0) }
        parameters = ParameterStore(
            FeatureFusion.declarations(shape) + layerDeclarations.flatMap { $0 } + [
                .vector("norm.weight", count: shape.hiddenSize),
                .matrix(
                    [("lm_head.weight", shape.draftVocabSize)], columns: shape.hiddenSize, isFrozen: freezesHead,
                    isOfVocabulary: true),
            ], compute)
        var rest = parameters.parameters[...]
        func take(_ count: Int) -> [Parameter] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        fusion = FeatureFusion(shape, take(FeatureFusion.declarations(shape).count))
        layers = layerDeclarations.enumerated().map { Eagle3DecoderLayer(shape, layer: $0, take($1.count)) }
        let last = take(2)
        head = DistillationHead(
            norm: RMSNorm(weight: last[0], epsilon: shape.rmsNormEpsilon), lmHead: Linear(weight: last[1]),
            positionWeights: training.stepWeights, objective: objective)
        self.rotary = rotary
        let groups = shape.numAttentionHeads / shape.numKeyValueHeads
        attention = Attention(
            numHeads: shape.numAttentionHeads, headDim: shape.headDim,
            keyValueHead: (0..<shape.numAttentionHeads).map { $0 / groups },
            scale: 1 / Float(shape.headDim).squareRoot(), precision: compute.precision)
    }

    /// Splits [rows, 2 keyValueWidth] into keys and values.
    func keyValue(_ joined: Matrix) -> Attention.KeyValue {
        let width = configuration.keyValueWidth
        return Attention.KeyValue(keys: joined[columns: 0..<width], values: joined[columns: width..<2 * width])
    }

    /// What a step hands to the next: h_k, or its norm in `workspace`.
    func output(_ hidden: Matrix, in workspace: Workspace) -> Matrix {
        guard configuration.normOutput else { return hidden }
        let normalized = workspace.matrix(rows: hidden.rows, columns: hidden.columns)
        head.norm.forward(hidden, into: normalized)
        return normalized
    }

    /// The same draft and weights, trained otherwise.
    func with(_ training: Eagle3Training) -> Eagle3DraftModel {
        var draft = self
        draft.training = training
        draft.head = DistillationHead(
            norm: head.norm, lmHead: head.lmHead, positionWeights: training.stepWeights, objective: head.objective)
        return draft
    }

    // MARK: - As a draft among others

    var appendedTokens: [Int32] { TrainingTimeTestPlan.padding }
    var positionCount: Int { training.tttLength }
    var positionsAfterEnd: Int { training.tttLength }

    /// The labels of the first step.
    func labelCount(_ sequence: TrainingSequence) -> Double {
        var first = training
        first.tttLength = 1
        return Double(first.plan([sequence]).labels.count)
    }

    /// Σ_k lossDecay^k of each step's loss, per label of the first.
    func loss(_ statistics: TrainingStatistics) -> Double { statistics.weightedLoss(training.reportedWeights) }

    func initializeHead(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {
        head.initialize(from: target, draftToTarget: draftToTarget)
    }

    var draftsTrees: Bool { true }

    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting {
        parameters.round()
        return Eagle3Decoder(
            self, draftToTarget: draftToTarget, capacity: capacity, workspace: workspace, embed: embed)
    }

    func decoderByteCount(capacity: Int) -> Int {
        KeyValueCache.byteCount(layers: layers.count, width: configuration.keyValueWidth, capacity: capacity)
    }
}

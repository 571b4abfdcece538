import Shared

@testable import Trainer

/// Qwen3Eagle3, as an example of a draft of one's own, with a configuration of its own: EAGLE-3 whose layer normalises
/// queries and keys of each head, as Qwen3's layers do, and vLLM's `Eagle3Qwen3ForCausalLM`; over any number of the
/// target's layers.
///
///     h₋₁ = fc [f_1 | … | f_n]
///     x   = [input_layernorm(e_k) | hidden_norm(h_{k−1})]
///     q   = rotate(q_norm(q_proj x)),  k = rotate(k_norm(k_proj x)),  v = v_proj x
///     r   = h_{k−1} + o_proj attention(q, k, v),  h_k = r + mlp(post_attention_layernorm(r))
///     z_k = lm_head norm(h_k)
///
/// In the sources it would be `Sources/Trainer/Models/Draft/Qwen3Eagle3/Qwen3Eagle3.swift`, without `@testable import`,
/// and the line `"Eagle3Qwen3ForCausalLM": Qwen3Eagle3Configuration.self,` in `DraftRegistry.swift`.
struct Qwen3Eagle3Configuration: DraftConfiguration {
    let shape: Eagle3DraftModel.Shape
    let rope: RopeConfiguration
    let vocabSize: Int
    let targetLayers: [Int]
    let json: JSONText

    var draftVocabSize: Int { shape.draftVocabSize }

    /// The target's sizes, and three of its layers: the first, the one in the middle and the last but one.
    static func generated(
        _ architecture: String, target: ModelConfiguration, draftVocabSize: Int?
    ) throws(JSONError) -> Qwen3Eagle3Configuration {
        let layers = [0, target.numHiddenLayers / 2, max(0, target.numHiddenLayers - 2)]
        let members: [(String, JSONText)] = [
            ("architectures", .array([.string(architecture)])), ("model_type", .string("qwen3")),
            ("hidden_act", .string("silu")), ("hidden_size", .int(target.hiddenSize)),
            ("intermediate_size", .int(target.intermediateSize)),
            ("num_attention_heads", .int(target.numAttentionHeads)),
            ("num_key_value_heads", .int(target.numKeyValueHeads)), ("head_dim", .int(target.headDim)),
            ("num_hidden_layers", .int(1)), ("max_position_embeddings", .int(target.maxPositionEmbeddings)),
            ("rms_norm_eps", .number(target.rmsNormEpsilon)), ("rope_theta", .number(target.rope.theta)),
            ("vocab_size", .int(target.vocabSize)),
            ("draft_vocab_size", .int(min(draftVocabSize ?? 32_000, target.vocabSize))),
            ("target_layer_ids", .array(layers.map(JSONText.int))),
        ]
        let file = try JSONFile(contents: Array(JSONText.object(members).pretty.utf8), path: "generated draft config")
        return try Qwen3Eagle3Configuration(file, target: target)
    }

    init(_ file: JSONFile, target: ModelConfiguration) throws(JSONError) {
        let (root, own) = (file.root, try ModelConfiguration(file))
        for (key, wanted) in [("hidden_size", target.hiddenSize), ("vocab_size", target.vocabSize)] {
            let found = try root.int(key)
            guard found == wanted else {
                throw try root.required(key).error("is \(found), should be the target's \(wanted)")
            }
        }
        let size = try root.required("draft_vocab_size")
        guard 1...own.vocabSize ~= (try size.asInt()) else {
            throw size.error("should be between 1 and vocab_size, \(own.vocabSize)")
        }
        let layers = try root.required("target_layer_ids")
        targetLayers = try layers.elements.map { (element: JSONNode) throws(JSONError) -> Int in try element.asInt() }
        guard !targetLayers.isEmpty, targetLayers.allSatisfy({ 0..<target.numHiddenLayers ~= $0 }) else {
            throw layers.error("is \(targetLayers), should be layers of the target's \(target.numHiddenLayers)")
        }
        shape = Eagle3DraftModel.Shape(
            hiddenSize: own.hiddenSize, targetHiddenSize: target.hiddenSize, intermediateSize: own.intermediateSize,
            numAttentionHeads: own.numAttentionHeads, numKeyValueHeads: own.numKeyValueHeads, headDim: own.headDim,
            draftVocabSize: try size.asInt(), rmsNormEpsilon: Float(own.rmsNormEpsilon))
        (rope, vocabSize) = (own.rope, own.vocabSize)
        json = JSONText(root.value)
    }

    /// SGLang and llama.cpp have no draft with norms of queries and keys.
    func lackingOptions(of engine: InferenceEngine) -> [String] { engine == .vllm ? [] : ["q_norm"] }

    func makeDraft(
        _ training: Eagle3Options, _ settings: DraftSettings, _ compute: Compute
    ) throws(JSONError) -> any DraftModel {
        let positions = settings.positions + training.training.tttLength
        return Qwen3Eagle3(
            self, training.training,
            rotary: try RotaryScaling(rope, headDim: shape.headDim).embedding(positions: positions, length: positions),
            settings, compute)
    }
}

/// The draft: its weights, and training-time test over its one layer.
///
/// The norms, residuals and the MLP around the attention are EAGLE-3's (`Eagle3DecoderLayer`), and so are the rows that
/// the steps compute (`TrainingTimeTestPlan`); the head is that of all drafts.
struct Qwen3Eagle3: DraftModel {
    let shape: Eagle3DraftModel.Shape
    let training: Eagle3Training
    let parameters: ParameterStore
    let fc: Linear
    let layer: Eagle3DecoderLayer
    let queryNorm: RMSNorm
    let keyNorm: RMSNorm
    let head: DistillationHead
    let rotary: RotaryEmbedding
    let attention: Attention

    init(
        _ configuration: Qwen3Eagle3Configuration, _ training: Eagle3Training, rotary: RotaryEmbedding,
        _ settings: DraftSettings, _ compute: Compute
    ) {
        let shape = configuration.shape
        let layerDeclarations = Eagle3DecoderLayer.declarations(shape, layer: 0)
        let inputs = configuration.targetLayers.count * shape.targetHiddenSize
        parameters = ParameterStore(
            [.matrix([("fc.weight", shape.hiddenSize)], columns: inputs)] + layerDeclarations + [
                .vector("midlayer.self_attn.q_norm.weight", count: shape.headDim),
                .vector("midlayer.self_attn.k_norm.weight", count: shape.headDim),
                .vector("norm.weight", count: shape.hiddenSize),
                .matrix(
                    [("lm_head.weight", shape.draftVocabSize)], columns: shape.hiddenSize,
                    isFrozen: settings.freezesHead, isOfVocabulary: true),
            ], compute)
        let (all, norm) = (
            parameters.parameters, { (weight: Parameter) in RMSNorm(weight: weight, epsilon: shape.rmsNormEpsilon) }
        )
        let own = all.suffix(4).map { $0 }
        fc = Linear(weight: all[0])
        layer = Eagle3DecoderLayer(shape, layer: 0, Array(all[1...layerDeclarations.count]))
        (queryNorm, keyNorm) = (norm(own[0]), norm(own[1]))
        head = DistillationHead(
            norm: norm(own[2]), lmHead: Linear(weight: own[3]), positionWeights: training.stepWeights,
            objective: settings.objective)
        let groups = shape.numAttentionHeads / shape.numKeyValueHeads
        attention = Attention(
            numHeads: shape.numAttentionHeads, headDim: shape.headDim,
            keyValueHead: (0..<shape.numAttentionHeads).map { $0 / groups },
            scale: 1 / Float(shape.headDim).squareRoot(), precision: compute.precision)
        (self.shape, self.training, self.rotary) = (shape, training, rotary)
    }

    func initializeHead(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {
        head.initialize(from: target, draftToTarget: draftToTarget)
    }

    // MARK: Learning

    var appendedTokens: [Int32] { TrainingTimeTestPlan.padding }
    var positionCount: Int { training.tttLength }
    var positionsAfterEnd: Int { training.tttLength }

    func labelCount(_ sequence: TrainingSequence) -> Double {
        Double(training.plan([sequence]).labelCounts[0])
    }

    func loss(_ statistics: TrainingStatistics) -> Double { statistics.weightedLoss(training.reportedWeights) }

    func learn(_ lesson: Lesson, weights: LossWeights?, in workspace: Workspace) -> TrainingStatistics {
        parameters.round()
        let plans = lesson.sequences.map { training.plan($0) }
        return workspace.scope {
            let steps = forward(lesson, plans[lesson.rank], in: workspace)
            let (statistics, dHidden) = head.learn(
                steps.map(\.rest.hidden), plans.map(\.draftLabels), lesson, weights: weights, in: workspace)
            if weights != nil { backward(dHidden, steps, lesson, plans[lesson.rank], in: workspace) }
            return statistics
        }
    }

    /// What a step keeps for the backward pass.
    struct Step {
        let embedding: Matrix
        /// Of all rows in step 0, of active ones in others.
        let x: Matrix
        /// Queries and keys before their norms.
        let q: Matrix
        let keys: Matrix
        let rest: Eagle3DecoderLayer.Step
    }

    func forward(_ lesson: Lesson, _ plan: TrainingTimeTestPlan, in workspace: Workspace) -> [Step] {
        var hidden = workspace.matrix(rows: lesson.features.rows, columns: shape.hiddenSize)
        fc.forward(lesson.features, into: hidden)
        return (0..<training.tttLength).reduce(into: []) { steps, k in
            let rows = k == 0 ? plan.allEmbeddingRows : plan.embeddingRows[k]
            let embedding = workspace.matrix(rows: rows.count, columns: shape.hiddenSize)
            embedding.gather(rows, from: lesson.embedding)
            let x = workspace.matrix(rows: rows.count, columns: layer.inputWidth)
            layer.input(embedding: embedding, hidden: hidden, into: x)
            let (q, keys) = (
                workspace.matrix(rows: plan.activeRows.count, columns: shape.queryWidth),
                workspace.matrix(rows: rows.count, columns: shape.keyValueWidth)
            )
            let values = workspace.matrix(rows: rows.count, columns: shape.keyValueWidth)
            queryProjection.forward(activeRows(of: x, k, plan, in: workspace), into: q)
            keyProjection.forward(x, into: keys)
            valueProjection.forward(x, into: values)
            let queries = normalized(q, queryNorm, in: workspace)
            let keyValue = Attention.KeyValue(keys: normalized(keys, keyNorm, in: workspace), values: values)
            rotary.apply(queries, positionOf: plan.positions, offset: k)
            rotary.apply(keyValue.keys, positionOf: (k == 0 ? plan.all : plan.active).positions, offset: k)
            let output = workspace.matrix(rows: q.rows, columns: shape.queryWidth)
            let logSumExp = workspace.matrix(rows: shape.numAttentionHeads, columns: q.rows)
            attention.forward(
                queries, prefix: steps.first?.rest.keyValue ?? keyValue, visible: plan.visible,
                own: k == 0 ? [] : steps.dropFirst().map(\.rest.keyValue) + [keyValue], segments: plan.segments,
                into: output, logSumExp: logSumExp, in: workspace)
            let residual = workspace.matrix(rows: q.rows, columns: shape.hiddenSize)
            layer.residual(hidden: hidden, x: x, rows: k == 0 ? plan.activeRows : nil, into: residual)
            let end = layer.finish(output, afterAttention: residual, keepsGateUp: true, in: workspace)
            steps.append(
                Step(
                    embedding: embedding, x: x, q: q, keys: keys,
                    rest: Eagle3DecoderLayer.Step(
                        input: hidden, q: queries, keyValue: keyValue, attentionOutput: output, logSumExp: logSumExp,
                        afterAttention: residual, gateUp: end.gateUp, hidden: end.hidden)))
            hidden = end.hidden
        }
    }

    /// The backward pass through all steps, the last one first.
    ///
    /// - Parameter dHidden: The gradient of each step's h_k from its loss; overwritten.
    private func backward(
        _ dHidden: [Matrix], _ steps: [Step], _ lesson: Lesson, _ plan: TrainingTimeTestPlan, in workspace: Workspace
    ) {
        let gradients = steps.map { step in
            Attention.KeyValue(
                keys: workspace.zeros(rows: step.x.rows, columns: shape.keyValueWidth),
                values: workspace.zeros(rows: step.x.rows, columns: shape.keyValueWidth))
        }
        for (k, step) in steps.enumerated().reversed() {
            workspace.scope {
                let dAttention = layer.backwardToAttention(dHidden[k], step.rest, nil, in: workspace)
                let dQ = workspace.matrix(rows: step.q.rows, columns: shape.queryWidth)
                attention.backward(
                    dAttention, q: step.rest.q, o: step.rest.attentionOutput, logSumExp: step.rest.logSumExp,
                    prefix: steps[0].rest.keyValue, visible: plan.visible,
                    own: steps[0...k].dropFirst().map(\.rest.keyValue), segments: plan.segments, into: dQ,
                    dPrefix: gradients[0], dOwn: Array(gradients[0...k].dropFirst()), in: workspace)
                let given = k == 0 ? plan.all : plan.active
                rotary.apply(dQ, positionOf: plan.positions, offset: k, .backward)
                rotary.apply(gradients[k].keys, positionOf: given.positions, offset: k, .backward)
                queryNorm.backward(heads(dQ), x: heads(step.q), into: heads(dQ), in: workspace)
                keyNorm.backward(
                    heads(gradients[k].keys), x: heads(step.keys), into: heads(gradients[k].keys), in: workspace)
                let dX = workspace.matrix(rows: step.x.rows, columns: step.x.columns)
                keyProjection.backward(gradients[k].keys, x: step.x, into: dX)
                valueProjection.backward(gradients[k].values, x: step.x, into: dX, accumulate: true)
                let dInput = k == 0 ? workspace.zeros(rows: step.x.rows, columns: shape.hiddenSize) : dHidden[k]
                let dActive = activeRows(of: dX, k, plan, in: workspace)
                queryProjection.backward(
                    dQ, x: activeRows(of: step.x, k, plan, in: workspace), into: dActive, accumulate: true)
                if k == 0 {
                    dActive.scatter(plan.activeRows, into: dX)
                    dHidden[0].scatter(plan.activeRows, into: dInput)
                }
                layer.inputBackward(
                    dX, embedding: step.embedding, hidden: step.rest.input, into: dInput, in: workspace)
                if k > 0 { dHidden[k - 1].add(dInput) } else { fc.backward(dInput, x: lesson.features, into: nil) }
            }
        }
    }

    /// The active rows of what step 0 computes for all; another step's matrix has no others.
    private func activeRows(
        of matrix: Matrix, _ k: Int, _ plan: TrainingTimeTestPlan, in workspace: Workspace
    ) -> Matrix {
        guard k == 0 else { return matrix }
        let active = workspace.matrix(rows: plan.activeRows.count, columns: matrix.columns)
        active.gather(plan.activeRows, from: matrix)
        return active
    }

    /// A row for each head.
    private func heads(_ matrix: Matrix) -> Matrix {
        Matrix(start: matrix.start, rows: matrix.count / shape.headDim, columns: shape.headDim, matrix.compute)
    }

    func normalized(_ matrix: Matrix, _ norm: RMSNorm, in workspace: Workspace) -> Matrix {
        let result = workspace.matrix(rows: matrix.rows, columns: matrix.columns)
        norm.forward(heads(matrix), into: heads(result))
        return result
    }

    var queryProjection: Linear { layer.queryProjection }
    var keyProjection: Linear { projection(shape.queryWidth) }
    var valueProjection: Linear { projection(shape.queryWidth + shape.keyValueWidth) }

    /// The rows of q_proj, k_proj and v_proj below each other that make keys, or values.
    private func projection(_ first: Int) -> Linear {
        Linear(weight: layer.qkvProjection.weight[rows: first..<first + shape.keyValueWidth])
    }

    // MARK: Drafting

    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting {
        parameters.round()
        return Qwen3Eagle3Decoder(
            self, draftToTarget: draftToTarget, capacity: capacity, workspace: workspace, embed: embed)
    }

    func decoderByteCount(capacity: Int) -> Int {
        KeyValueCache.byteCount(layers: 1, width: shape.keyValueWidth, capacity: capacity)
    }

    // MARK: Planning

    var headOperations: Double { head.operations }

    var cost: @Sendable (Sample) -> Double {
        let token = 6 * Double(training.tttLength * parameters.weights.count)
        return { sample in token * Double(sample.lossMask.count { $0 }) }
    }

    func workload(_ sequences: [TrainingSequence], on rank: PlannedRank) -> DraftWorkload {
        let (plan, t) = (training.plan(sequences), training.tttLength)
        let (labels, h, q, kv, wide) = (
            plan.draftLabels, shape.hiddenSize, shape.queryWidth, shape.keyValueWidth, shape.intermediateSize
        )
        let (rows, active) = (plan.allPositions.count, plan.activeRows.count)
        let given = rows + (t - 1) * active
        let kept =
            rows * h + active * 2 * h + given * (3 * h + 3 * kv)
            + t * active * (3 * q + shape.numAttentionHeads + 2 * h + 2 * wide)
        let scratch = AttentionTile.floats(
            rows: active, keys: sequences.map(\.length).max() ?? 0, ownCount: t - 1, rank.compute)
        let backward = 2 * given * kv + 2 * active * q + max(scratch, rows * 3 * h + 4 * active * h)
        return DraftWorkload(
            elements: kept + t * active * h + max(head.elements(labels, on: rank), backward),
            roundedElements: (input: max(2 * active * wide, given * 2 * h), gradient: max(given * h, active * wide)),
            targetRows: labels.targetRows.count,
            operations: operations(
                all: rows, first: active, later: (t - 1) * active,
                keys: Double(t) * plan.visible.reduce(0) { $0 + Double($1) })
                + head.operations * Double(plan.labels.count),
            products: head.products(labels, on: rank) + [ProductSize(rows: active, inputs: h, outputs: 2 * wide)])
    }

    func necessaryWork(_ sequence: TrainingSequence) -> NecessaryWork {
        let rows = NeededRows(training.plan([sequence]))
        return NecessaryWork(
            targetRows: rows.target, logits: rows.logits,
            operations: operations(
                all: rows.features, first: rows.steps[0], later: rows.steps.dropFirst().reduce(0, +),
                keys: rows.seenKeys.reduce(0, +)))
    }

    /// FLOP of `fc` and the layer, forward and backward; the features' gradient isn't needed.
    ///
    /// - Parameters:
    ///   - all: Rows of step 0's keys and values.
    ///   - first: Rows of step 0.
    ///   - later: Rows of all other steps.
    ///   - keys: Keys that rows see, together.
    private func operations(all: Int, first: Int, later: Int, keys: Double) -> Double {
        let (h, q, kv) = (Double(shape.hiddenSize), Double(shape.queryWidth), Double(shape.keyValueWidth))
        let others = 2 * h * q + q * h + 3 * h * Double(shape.intermediateSize)
        return 4 * Double(all) * Double(fc.weight.weight.count) + 6 * Double(all + later) * 2 * h * 2 * kv
            + 6 * Double(first + later) * others + 12 * q * keys
    }
}

/// Drafting token by token: row i has the target's features of token i and the embedding of token i + 1; drafting
/// continues with the draft's own hidden state in place of features.
final class Qwen3Eagle3Decoder: Drafting {
    private let draft: Qwen3Eagle3
    private let draftToTarget: [Int32]
    private let embed: ([Int32], Matrix) -> Void
    private let cache: KeyValueCache
    private let workspace: Workspace
    private let memory: FrozenWeights
    /// h of the newest row.
    let hidden: Matrix
    private var verifiedRows = 0

    init(
        _ draft: Qwen3Eagle3, draftToTarget: [Int32], capacity: Int, workspace: Workspace,
        embed: @escaping ([Int32], Matrix) -> Void
    ) {
        (self.draft, self.draftToTarget, self.embed, self.workspace) = (draft, draftToTarget, embed, workspace)
        memory = FrozenWeights(workspace.compute)
        cache = KeyValueCache(layers: 1, width: draft.shape.keyValueWidth, capacity: capacity, workspace.compute)
        hidden = memory.matrix(rows: 1, columns: draft.shape.hiddenSize)
    }

    func restart() {
        cache.truncate(to: 0)
        verifiedRows = 0
    }

    func advance(features: Matrix, next: [Int32]) {
        cache.truncate(to: verifiedRows)
        workspace.scope {
            let projected = workspace.matrix(rows: features.rows, columns: hidden.columns)
            draft.fc.forward(features, into: projected)
            let output = step(projected, next)
            hidden.copy(from: output[rows: output.rows - 1..<output.rows])
        }
        verifiedRows = cache.count
    }

    func draft(_ count: Int) -> [Int32] {
        (0..<count).reduce(into: []) { tokens, _ in
            if let last = tokens.last { continueDraft(with: last) }
            tokens.append(likeliest())
        }
    }

    func continueDraft(with token: Int32) { workspace.scope { hidden.copy(from: step(hidden, [token])) } }

    private func likeliest() -> Int32 {
        workspace.scope {
            let normalized = workspace.matrix(rows: 1, columns: hidden.columns)
            let logits = workspace.matrix(rows: 1, columns: draft.shape.draftVocabSize)
            draft.head.norm.forward(hidden, into: normalized)
            draft.head.lmHead.forward(normalized, into: logits)
            return draftToTarget[indexOfMaximum(logits.start, logits.columns)]
        }
    }

    /// Runs the layer over rows that continue the cache, and returns their h.
    private func step(_ hidden: Matrix, _ next: [Int32]) -> Matrix {
        let (shape, rows) = (draft.shape, DecoderRows(continuing: cache, count: hidden.rows))
        func matrix(_ columns: Int) -> Matrix { workspace.matrix(rows: hidden.rows, columns: columns) }
        let (embedding, x) = (matrix(shape.hiddenSize), matrix(draft.layer.inputWidth))
        embed(next, embedding)
        draft.layer.input(embedding: embedding, hidden: hidden, into: x)
        let (q, keys, values) = (matrix(shape.queryWidth), matrix(shape.keyValueWidth), matrix(shape.keyValueWidth))
        draft.queryProjection.forward(x, into: q)
        draft.keyProjection.forward(x, into: keys)
        draft.valueProjection.forward(x, into: values)
        let queries = draft.normalized(q, draft.queryNorm, in: workspace)
        let new = Attention.KeyValue(keys: draft.normalized(keys, draft.keyNorm, in: workspace), values: values)
        draft.rotary.apply(queries, positionOf: rows.positions)
        draft.rotary.apply(new.keys, positionOf: rows.positions)
        let all = cache.append(new, layer: 0)
        let (output, residual) = (matrix(shape.queryWidth), matrix(shape.hiddenSize))
        draft.attention.forward(
            queries, prefix: all, visible: rows.visible,
            segments: [Attention.Segment(queries: 0..<hidden.rows, keys: 0..<all.keys.rows)], into: output,
            logSumExp: workspace.matrix(rows: shape.numAttentionHeads, columns: hidden.rows), in: workspace)
        draft.layer.residual(hidden: hidden, x: x, rows: nil, into: residual)
        cache.advance(hidden.rows)
        return draft.layer.finish(output, afterAttention: residual, keepsGateUp: false, in: workspace).hidden
    }
}

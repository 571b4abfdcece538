import Shared

/// DFlash (Chen, Liang and Liu 2026): a draft that is read once for a whole block of tokens.
///
/// Its rows are a block: the newest token and copies of a mask token. The past comes from the target alone, as keys and
/// values of every layer:
///
///     c   = hidden_norm(fc [f_1 | … | f_n])        of every token before the block
///     x_k = the target's embedding of the anchor's token, or of the mask
///     h_k = layers(x, c),   z_k = lm_head norm(h_k)
///
/// with f the outputs of the target's layers. Embedding and head are the target's and aren't trained. DSpark is DFlash
/// with a `MarkovHead`, which adds to z what the token before says, and a `ConfidenceHead`.
struct DFlashDraftModel: DraftModel {
    let shape: BlockShape
    let training: BlockTraining
    let parameters: ParameterStore
    let fc: Linear
    let hiddenNorm: RMSNorm
    let layers: [BlockLayer]
    let rotary: RotaryEmbedding
    let head: BlockHead

    init(_ shape: BlockShape, _ training: BlockTraining, rotary: RotaryEmbedding, _ compute: Compute) {
        self.shape = shape
        self.training = training
        self.rotary = rotary
        let h = shape.hiddenSize
        var declarations: [ParameterStore.Declaration] = [
            .matrix([("fc.weight", h)], columns: shape.featureCount * h), .vector("hidden_norm.weight", count: h),
        ]
        for layer in 0..<shape.numHiddenLayers { declarations += BlockLayer.declarations(shape, layer: layer) }
        declarations.append(.vector("norm.weight", count: h))
        if shape.markovRank > 0 { declarations += MarkovHead.declarations(shape) }
        if shape.confidence != nil { declarations += ConfidenceHead.declarations(shape) }
        declarations.append(
            .matrix(
                [("lm_head.weight", shape.draftVocabSize)], columns: h, isFrozen: true, isSaved: shape.hasOwnHead,
                isOfVocabulary: true))
        parameters = ParameterStore(declarations, compute)
        let all = parameters.parameters
        fc = Linear(weight: all[0])
        hiddenNorm = RMSNorm(weight: all[1], epsilon: shape.rmsNormEpsilon)
        layers = (0..<shape.numHiddenLayers).map { layer in
            let first = 2 + layer * BlockLayer.parameterCount
            return BlockLayer(shape, layer: layer, Array(all[first..<first + BlockLayer.parameterCount]))
        }
        let norm = 2 + shape.numHiddenLayers * BlockLayer.parameterCount
        let confidence = norm + (shape.markovRank > 0 ? 3 : 1)
        head = BlockHead(
            head: DistillationHead(
                norm: RMSNorm(weight: all[norm], epsilon: shape.rmsNormEpsilon),
                lmHead: Linear(weight: all[all.count - 1]), positionWeights: [], objective: .crossEntropy),
            markov: shape.markovRank > 0
                ? MarkovHead(table: all[norm + 1], output: Linear(weight: all[norm + 2])) : nil,
            confidence: shape.confidence == nil
                ? nil : ConfidenceHead(weight: all[confidence], bias: all[confidence + 1]),
            loss: training.loss)
    }

    func initialize(seed: UInt64) {
        parameters.fillUniformly(seed: seed)
        head.confidence?.initialize()
    }

    func initializeHead(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {
        head.head.initialize(from: target, draftToTarget: draftToTarget)
    }

    func takeTargetWeights(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {
        if !shape.hasOwnHead { target.headRows(draftToTarget, into: head.head.lmHead.weight.weight) }
    }

    // MARK: Learning

    var appendedTokens: [Int32] { [shape.maskToken] }
    var positionCount: Int { shape.draftedTokens }
    var positionsAfterEnd: Int { shape.blockSize }

    func labelCount(_ sequence: TrainingSequence) -> Double { training.divisor(sequence, shape) }
    func loss(_ statistics: TrainingStatistics) -> Double { training.loss(statistics) }

    func learn(_ lesson: Lesson, weights: LossWeights?, in workspace: Workspace) -> TrainingStatistics {
        parameters.round()
        let plans = lesson.sequences.map { training.plan($0, shape) }
        let plan = plans[lesson.rank]
        return workspace.scope {
            let record = forward(lesson, plan, in: workspace)
            let (statistics, dHidden) = head.learn(
                lessons(record, plans, lesson), weights: weights, in: workspace)
            if let weights {
                weights.observer?.areFinal(from: head.head.norm.weight)
                backward(dHidden, record, lesson, plan, weights.observer, in: workspace)
            }
            return statistics
        }
    }

    /// What the forward pass keeps for the backward pass.
    struct Record {
        /// fc of the features: [context rows, hidden].
        let fused: Matrix
        /// c.
        let context: Matrix
        let keys: [BlockLayer.Keys]
        let steps: [BlockLayer.Step]
        /// h of all rows.
        let hidden: Matrix
    }

    func lessons(_ record: Record, _ plans: [BlockPlan], _ lesson: Lesson) -> BlockHead.Lessons {
        BlockHead.Lessons(
            hidden: record.hidden, labels: plans.map(\.labels), tokens: plans[lesson.rank].tokens,
            previous: plans[lesson.rank].previous, lesson: lesson)
    }

    func forward(_ lesson: Lesson, _ plan: BlockPlan, in workspace: Workspace) -> Record {
        let fused = workspace.matrix(rows: plan.contextCount, columns: shape.hiddenSize)
        let context = workspace.matrix(rows: plan.contextCount, columns: shape.hiddenSize)
        for sequence in plan.sequences {
            fc.forward(features(sequence, lesson), into: fused[rows: sequence.context])
        }
        hiddenNorm.forward(fused, into: context)
        var hidden = workspace.matrix(rows: plan.rowCount, columns: shape.hiddenSize)
        hidden.gather(plan.embeddingRows, from: lesson.embedding)
        let (positions, contextPositions, segments) = (plan.positions, plan.contextPositions, plan.segments)
        var (keys, steps): ([BlockLayer.Keys], [BlockLayer.Step]) = ([], [])
        for layer in layers {
            let own = layer.keys(context, contextPositions, rotary, in: workspace)
            let step = layer.forward(hidden, context: own.keyValue, segments, positions, rotary, in: workspace)
            keys.append(own)
            steps.append(step)
            hidden = step.hidden
        }
        return Record(fused: fused, context: context, keys: keys, steps: steps, hidden: hidden)
    }

    /// - Parameter dHidden: The gradient of h; overwritten.
    private func backward(
        _ dHidden: Matrix, _ record: Record, _ lesson: Lesson, _ plan: BlockPlan, _ observer: (any GradientObserver)?,
        in workspace: Workspace
    ) {
        let dContext = workspace.zeros(rows: record.context.rows, columns: shape.hiddenSize)
        let positions = (own: plan.positions, context: plan.contextPositions)
        let segments = plan.segments
        for (index, layer) in layers.enumerated().reversed() {
            layer.backward(
                dHidden, record.steps[index], c: record.context, context: record.keys[index], segments,
                positions: positions, rotary, into: dContext, in: workspace)
            observer?.areFinal(from: layer.inputNorm.weight)
            observer?.poll()
        }
        hiddenNorm.backward(dContext, x: record.fused, into: dContext, in: workspace)
        for sequence in plan.sequences {
            fc.backward(dContext[rows: sequence.context], x: features(sequence, lesson), into: nil)
        }
    }

    /// The features of a sequence that become context.
    private func features(_ sequence: BlockPlan.Sequence, _ lesson: Lesson) -> Matrix {
        let first = sequence.tokens.lowerBound
        return lesson.features[rows: first..<first + sequence.context.count]
    }

    // MARK: Drafting

    var longestDraft: Int { shape.draftedTokens }

    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting {
        parameters.round()
        return DFlashDecoder(
            self, draftToTarget: draftToTarget, capacity: capacity, workspace: workspace, embed: embed)
    }

    func decoderByteCount(capacity: Int) -> Int {
        KeyValueCache.byteCount(layers: layers.count, width: shape.keyValueWidth, capacity: capacity)
    }
}

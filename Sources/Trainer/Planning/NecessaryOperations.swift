/// The FLOP that the mathematics of a training step needs: products of `NeededRows` alone, each counted once.
///
/// Two for each weight and row in the forward pass, two for the weight's gradient and two for the input's, where there
/// are any. Attention takes four for each element of a query and key that it sees in the forward pass, and eight in the
/// backward pass; what a row doesn't see isn't counted. Nor is what is recomputed, nor anything but products: norms,
/// softmax, the optimizer.
struct NecessaryOperations {
    let target: DecoderTargetModel
    let draft: Eagle3DraftModel.Shape
    /// The target's layers whose outputs the draft sees.
    let auxiliaryLayers: [Int]
    /// Whether the draft's head isn't trained.
    var isHeadFrozen = false

    /// Of one sequence, all but the draft's head.
    func ofRows(_ rows: NeededRows) -> Double { targetCount(rows) + draftLayers(rows) }

    /// The draft's head.
    ///
    /// - Parameter learnt: Labels of all steps whose token the draft's vocabulary has: no others need it.
    func head(learnt: Double) -> Double {
        (isHeadFrozen ? 4 : 6) * learnt * Double(draft.hiddenSize * draft.draftVocabSize)
    }

    /// The target's layers, and the logits that are learnt.
    func targetCount(_ rows: NeededRows) -> Double {
        let (hidden, vocabulary) = (target.configuration.hiddenSize, target.configuration.vocabSize)
        return target.layers.indices.reduce(2 * Double(rows.logits.count * hidden * vocabulary)) { sum, index in
            sum + targetLayer(index, rows)
        }
    }

    private func targetLayer(_ index: Int, _ rows: NeededRows) -> Double {
        let layer = target.layers[index]
        let attention = layer.attention.attention
        // Behind the last layer stand the logits: but for keys and values, it needs no rows but theirs.
        let isForLogits = index == target.layers.count - 1 && !auxiliaryLayers.contains(index)
        let computed = isForLogits ? rows.logits : Array(0..<rows.target)
        let keys = computed.reduce(0) { $0 + $1 + 1 - attention.span.first(of: $1 + 1) }
        let keyValueWeights = Double(2 * layer.attention.keyValueWidth * target.configuration.hiddenSize)
        return 2 * Double(rows.target) * keyValueWeights
            + 2 * Double(computed.count) * (layer.multipliedWeights - keyValueWeights)
            + 4 * Double(keys * attention.numHeads * attention.headDim)
    }

    /// `fc` and the draft's layers, forward and backward.
    func draftLayers(_ rows: NeededRows) -> Double {
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

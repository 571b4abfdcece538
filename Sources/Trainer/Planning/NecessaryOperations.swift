/// The FLOP that the mathematics of a training step needs: products of necessary rows alone, each counted once.
///
/// Two for each weight and row in the forward pass, two for the weight's gradient and two for the input's, where there
/// are any. Attention takes four for each element of a query and key that it sees in the forward pass, and eight in the
/// backward pass; what a row doesn't see isn't counted. Nor is what is recomputed, nor anything but products: norms,
/// softmax, the optimizer.
struct NecessaryOperations {
    let target: DecoderTargetModel
    let draft: any DraftModel
    /// The target's layers whose outputs the draft sees.
    let targetLayers: [Int]

    /// Of one sequence, all but the draft's head.
    func count(_ sequence: TrainingSequence) -> Double {
        let work = draft.necessaryWork(sequence)
        return targetCount(work) + work.operations
    }

    /// The draft's head.
    ///
    /// - Parameter learnt: Labels of all positions whose token the draft's vocabulary has: no others need it.
    func head(learnt: Double) -> Double { learnt * draft.headOperations }

    /// The target's layers, and the logits that are learnt.
    func targetCount(_ work: NecessaryWork) -> Double {
        let (hidden, vocabulary) = (target.configuration.hiddenSize, target.configuration.vocabSize)
        return target.layers.indices.reduce(2 * Double(work.logits.count * hidden * vocabulary)) { sum, index in
            sum + targetLayer(index, work)
        }
    }

    private func targetLayer(_ index: Int, _ work: NecessaryWork) -> Double {
        let layer = target.layers[index]
        // The logits follow from the last layer, which needs no rows but theirs except for keys and values.
        let isForLogits = index == target.layers.count - 1 && !targetLayers.contains(index)
        let computed = isForLogits ? work.logits : Array(0..<work.targetRows)
        let keyValueWeights = Double(layer.keyValueWeightCount)
        var pairs = 0.0
        if let attention = layer.heads?.attention {
            let keys = computed.reduce(0) { $0 + $1 + 1 - attention.span.first(of: $1 + 1) }
            pairs = Double(keys * attention.numHeads * attention.headDim)
        }
        return 2 * Double(work.targetRows) * keyValueWeights
            + 2 * Double(computed.count) * (layer.multipliedWeights - keyValueWeights)
            + 4 * pairs + Double(work.targetRows) * layer.stateOperations
    }
}

/// What the token before a row's says of the row's own (DSpark, arXiv 2607.05147): a bias of rank r, added to its logits.
///
///     z += W₂ e,  e = W₁[previous]      de = dz W₂,  dW₂ += dzᵀ e,  dW₁[previous] += de
///
/// So tokens of a block, whose rows were computed at once, follow each other.
struct MarkovHead {
    /// W₁: [vocabSize, r], by the target's ids.
    let table: Parameter
    /// W₂: [draftVocabSize, r].
    let output: Linear

    static func declarations(_ shape: BlockShape) -> [ParameterStore.Declaration] {
        [
            .matrix(
                [("markov_head.markov_w1.weight", shape.vocabSize)], columns: shape.markovRank, isOfVocabulary: true),
            .matrix(
                [("markov_head.markov_w2.weight", shape.draftVocabSize)], columns: shape.markovRank,
                isOfVocabulary: true),
        ]
    }

    var rank: Int { table.weight.columns }

    /// FLOP of a row, forward and backward.
    var operations: Double { 6 * Double(output.weight.weight.count) }

    /// Writes e of the tokens before rows: [rows, r].
    func embed(_ previous: [Int32], into e: Matrix) { e.gather(previous, from: table.weight) }

    /// Adds the bias to logits: [rows, draftVocabSize].
    func addBias(of e: Matrix, to z: Matrix) { output.forward(e, into: z, accumulate: true) }

    /// Adds to the table's gradient, row by row in their order for any number of threads.
    func backward(_ dE: Matrix, _ previous: [Int32]) {
        let gradient = table.gradient
        dE.compute.forEach((rank + 15) / 16) { block, _ in
            let (first, count) = (16 * block, min(16, rank - 16 * block))
            for (row, token) in previous.enumerated() {
                add(1, dE.row(row) + first, to: gradient.row(Int(token)) + first, count)
            }
        }
    }
}

extension SpeculativeDecoding {
    /// How much a target accepts of a draft's trees, along the tokens that it decodes by itself.
    ///
    /// A path of the tree is accepted as far as it is what the target says, so nothing more than that is computed: no tree is
    /// verified at once, and no time is measured.
    static func tree(
        _ target: TargetDecoder, _ draft: any TreeDrafting, prompt: [Int32], limit: Int, shape: DraftTree.Shape,
        endTokens: Set<Int32>, drawing: TokenDrawing? = nil
    ) -> (tokens: [Int32], statistics: Statistics) {
        var statistics = Statistics(draftLength: shape.steps)
        target.truncate(to: 0)
        draft.restart()
        let first = target.run(prompt, onlyLast: true, drawing)
        var tokens = first.next
        draft.advance(features: first.auxiliary, next: Array(prompt.dropFirst()) + tokens)
        let memory = FrozenWeights(first.auxiliary.compute)
        let features = memory.matrix(rows: shape.steps + 1, columns: first.auxiliary.columns)
        func isOpen(_ tokens: [Int32]) -> Bool {
            tokens.count < limit && !(tokens.last.map(endTokens.contains) ?? true)
        }
        while isOpen(tokens) {
            let tree = DraftTree(shape, continuations: draft.continuations(after:count:))
            let before = tokens.count
            repeat {
                let next = target.run([tokens[tokens.count - 1]], drawing?.beginning(at: tokens.count))
                let row = tokens.count - before
                features[rows: row..<row + 1].copy(from: next.auxiliary)
                tokens += next.next
            } while isOpen(tokens) && tree.contains(Array(tokens[before...]))
            let kept = tokens.count - before
            draft.advance(features: features[rows: 0..<kept], next: Array(tokens[before...]))
            statistics.add(drafted: tree.count, kept: kept, length: prompt.count + before)
        }
        return (tokens, statistics)
    }
}

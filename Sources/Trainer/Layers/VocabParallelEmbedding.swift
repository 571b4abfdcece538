/// An embedding whose vocabulary is divided among the ranks.
struct VocabParallelEmbedding {
    /// The ids that this rank holds.
    let vocabulary: Range<Int>
    /// [ids of the rank, features].
    let weight: FrozenWeight
    let communicator: any Communicator

    /// Writes the embedding of each id: [ids, features], the same on all ranks.
    func forward(_ ids: [Int32], into y: Matrix) {
        precondition(y.rows == ids.count && y.columns == weight.columns)
        for (row, id) in ids.enumerated() {
            if vocabulary.contains(Int(id)) {
                weight.copyRow(Int(id) - vocabulary.lowerBound, into: y.row(row))
            } else {
                y.row(row).update(repeating: 0, count: y.columns)
            }
        }
        communicator.allReduceSum(y)
    }
}

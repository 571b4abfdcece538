/// Which of a draft's rows learn what, for a batch.
struct DraftLabels {
    /// What one row learns.
    struct Label {
        /// How many positions ahead of its drafting round's beginning the token is that it predicts, from 0.
        let position: Int
        /// The row, among all hidden states that the head is given.
        let row: Int
        /// The drafting round: a token, or a block, from which positions are counted.
        let round: Int
        /// The row of the batch whose logits are learnt; nil past the sequence's end, for logits of zero.
        let targetRow: Int?
        /// The sequence it belongs to.
        let sequence: Int
    }

    let positionCount: Int
    let sequenceCount: Int
    let roundCount: Int
    /// Rows with the same target row are neighbours; a target row has at most one at each position.
    let all: [Label]

    /// How many each position has.
    var counts: [Int] {
        all.reduce(into: [Int](repeating: 0, count: positionCount)) { $0[$1.position] += 1 }
    }

    /// Distinct rows of the target's logits.
    var targetRows: Set<Int> { Set(all.compactMap(\.targetRow)) }

    /// The most labels and the most target rows of a piece.
    struct PieceSize {
        var labels = 1024
        var targetRows = 256
    }

    /// A run of labels and the target rows that they learn from; -1 stands for logits of zero.
    struct Piece {
        let labels: Range<Int>
        let targetRows: [Int32]
        /// For each label, its index in `targetRows`.
        let targetIndex: [Int]
    }

    /// The labels in pieces, cut between target rows.
    func pieces(_ size: PieceSize = PieceSize()) -> [Piece] {
        var pieces: [Piece] = []
        var (first, rows, indices): (Int, [Int32], [Int]) = (0, [], [])
        for (i, label) in all.enumerated() {
            let row = Int32(label.targetRow ?? -1)
            let isNew =
                i == first || all[i - 1].targetRow != label.targetRow || all[i - 1].sequence != label.sequence
            if isNew, rows.count == size.targetRows || i - first + positionCount > size.labels, i > first {
                pieces.append(Piece(labels: first..<i, targetRows: rows, targetIndex: indices))
                (first, rows, indices) = (i, [], [])
            }
            if isNew { rows.append(row) }
            indices.append(rows.count - 1)
        }
        if first < all.count {
            pieces.append(Piece(labels: first..<all.count, targetRows: rows, targetIndex: indices))
        }
        return pieces
    }
}

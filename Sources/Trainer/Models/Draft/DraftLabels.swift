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
    /// What has neighbouring labels.
    var neighbours = Neighbours.targetRow
    /// A target row has at most one at each position, and so has a round.
    let all: [Label]

    /// What pieces aren't cut within.
    enum Neighbours {
        /// Labels that learn from the same row of the target.
        case targetRow
        /// Those of a round, by position: what one counts depends on the others.
        case round
    }

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

    /// The labels in pieces, cut between neighbours.
    func pieces(_ size: PieceSize = PieceSize()) -> [Piece] {
        var pieces: [Piece] = []
        var (first, rows, indices): (Int, [Int32], [Int]) = (0, [], [])
        var places: [Int: Int] = [:]
        func end(_ last: Int) {
            pieces.append(Piece(labels: first..<last, targetRows: rows, targetIndex: indices))
            (first, rows, indices) = (last, [], [])
            places.removeAll(keepingCapacity: true)
        }
        var unit = 0
        while unit < all.count {
            let next = all[unit...].firstIndex { !isNeighbour($0, all[unit]) } ?? all.count
            let keys = all[unit..<next].map(Self.key)
            let added = Set(keys).count { places[$0] == nil }
            if unit > first, rows.count + added > size.targetRows || unit - first + positionCount > size.labels {
                end(unit)
            }
            for key in keys {
                let place = places[key] ?? rows.count
                if place == rows.count {
                    places[key] = place
                    rows.append(Int32(max(-1, key)))
                }
                indices.append(place)
            }
            unit = next
        }
        if first < all.count { end(all.count) }
        return pieces
    }

    private func isNeighbour(_ a: Label, _ b: Label) -> Bool {
        switch neighbours {
        case .targetRow: Self.key(a) == Self.key(b)
        case .round: a.round == b.round
        }
    }

    /// A label's target row; past the end, a number below zero of its sequence.
    private static func key(_ label: Label) -> Int { label.targetRow ?? -1 - label.sequence }
}

import Shared
import Testing

@testable import Trainer

/// Labels of any draft, of steps or of blocks, are cut into pieces that keep together what shares a row of the target.
struct DraftLabelsTests {
    /// Blocks of `size` rows at anchors drawn at random, which may overlap: row k of a block learns the target's row
    /// k after the anchor.
    private static func blocks(
        _ size: Int, sequences: Int, length: Int, _ neighbours: DraftLabels.Neighbours = .targetRow, seed: UInt64
    ) -> DraftLabels {
        var random = SplitMix64(seed: seed)
        var (labels, rounds): ([DraftLabels.Label], Int) = ([], 0)
        for sequence in 0..<sequences {
            var own: [DraftLabels.Label] = []
            for anchor in 0..<length where random.below(3) > 0 {
                for k in 0..<size where random.below(8) > 0 {
                    let row = anchor + k
                    own.append(
                        DraftLabels.Label(
                            position: k, row: rounds * size + k, round: rounds,
                            targetRow: row < length ? sequence * length + row : nil, sequence: sequence))
                }
                rounds += 1
            }
            if neighbours == .targetRow {
                own.sort { ($0.targetRow ?? .max, $0.position) < ($1.targetRow ?? .max, $1.position) }
            }
            labels += own
        }
        return DraftLabels(
            positionCount: size, sequenceCount: sequences, roundCount: rounds, neighbours: neighbours, all: labels)
    }

    @Test(arguments: 0..<20)
    func piecesHaveAllLabelsInOrderAndShareNoRowOfTheTarget(seed: Int) {
        let labels = Self.blocks(1 + seed % 9, sequences: 1 + seed % 3, length: 40 + seed, seed: UInt64(seed))
        let limit = DraftLabels.PieceSize(labels: 32, targetRows: 12)
        let pieces = labels.pieces(limit)
        #expect(pieces.flatMap(\.labels) == Array(labels.all.indices))
        #expect(labels.counts.reduce(0, +) == labels.all.count)
        for piece in pieces {
            #expect(piece.targetRows.count <= limit.targetRows && piece.labels.count == piece.targetIndex.count)
            for (label, index) in zip(piece.labels, piece.targetIndex) {
                #expect(piece.targetRows[index] == labels.all[label].targetRow.map(Int32.init) ?? -1)
            }
        }
        // Rows past the sequence's end stand for no row of the target, and may be in several pieces.
        let rows = pieces.flatMap { $0.targetRows.filter { $0 >= 0 } }
        #expect(Set(rows).count == rows.count && Set(rows).count == labels.targetRows.count)
        let known = pieces.filter { piece in piece.labels.allSatisfy { labels.all[$0].targetRow != nil } }
        #expect(known.allSatisfy { $0.labels.count <= limit.labels })
    }

    @Test(arguments: 0..<20)
    func piecesOfWholeRoundsHaveEachRowOfTheTargetOnce(seed: Int) {
        let size = 1 + seed % 9
        let labels = Self.blocks(size, sequences: 1 + seed % 3, length: 40 + seed, .round, seed: UInt64(seed))
        let limit = DraftLabels.PieceSize(labels: 32, targetRows: 12)
        let pieces = labels.pieces(limit)
        #expect(pieces.flatMap(\.labels) == Array(labels.all.indices) && pieces.count > 1)
        let rounds = pieces.map { piece in Set(piece.labels.map { labels.all[$0].round }) }
        #expect(rounds.map(\.count).reduce(0, +) == Set(labels.all.map(\.round)).count, "a round is in one piece")
        for piece in pieces {
            #expect(piece.targetRows.count <= limit.targetRows && piece.labels.count <= limit.labels)
            let known = piece.targetRows.filter { $0 >= 0 }
            #expect(Set(known).count == known.count)
            for (label, index) in zip(piece.labels, piece.targetIndex) {
                #expect(piece.targetRows[index] == labels.all[label].targetRow.map(Int32.init) ?? -1)
            }
        }
    }

    /// Of three blocks: two right, then wrong; wrong at once; and one without a label at its second position.
    @Test func acceptanceIsCountedAlongRounds() {
        let places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 2)]
        let labels = DraftLabels(
            positionCount: 3, sequenceCount: 1, roundCount: 3,
            all: places.map { round, position in
                DraftLabels.Label(
                    position: position, row: 3 * round + position, round: round, targetRow: round + position,
                    sequence: 0)
            })
        var outcomes = LabelOutcomes(labels)
        let row = DistillationLoss.Row(loss: 1, objective: 2, argmax: 0, acceptance: 0.5)
        for (label, isCorrect) in zip(labels.all, [true, true, false, false, true, true, true]) {
            outcomes.record(label, row, isCorrect: isCorrect)
        }
        let positions = outcomes.statistics.positions
        #expect(positions.map(\.labels) == [3, 2, 2] && positions.map(\.correct) == [2, 2, 1])
        #expect(positions.map(\.prefixes) == [3, 2, 1] && positions.map(\.prefixHits) == [2, 1, 0])
        #expect(positions.map(\.objective) == [6, 4, 4] && positions.map(\.acceptance) == [1.5, 1, 1])
    }
}

import Shared
import TestSupport
import Testing

@testable import Trainer

/// The target's hidden state as a thing to learn: its cosine and gradients, and that both heads learn it.
struct FeatureAlignmentTests {
    private let workspace = Workspace()
    private let target: FixedTarget
    private let hidden: Matrix
    private static let lengths = [6, 4]

    init() {
        target = FixedTarget(vocabSize: 24, hiddenSize: 19, in: workspace)
        hidden = workspace.matrix(rows: 10, columns: 19)
        var random = RandomNumbers(seed: 5)
        random.fill(hidden)
        // As targets have them: a channel that has most of the length, and one that is never used.
        for row in 0..<hidden.rows {
            hidden[row, 2] *= 40
            hidden[row, 7] = 0
        }
    }

    private var lesson: Lesson {
        let sequences = Self.lengths.map { length in
            TrainingSequence(
                sample: Sample(
                    inputIDs: [Int32](repeating: 1, count: length), lossMask: [Bool](repeating: true, count: length)))
        }
        return Lesson(
            teacher: CompactTeacher(target, draftToTarget: [0, 1, 2]), sequences: [sequences], features: hidden,
            embedding: hidden, targetHidden: hidden)
    }

    private static func label(_ row: Int, target: Int?, sequence: Int) -> DraftLabels.Label {
        DraftLabels.Label(position: 0, row: row, round: row, targetRow: target, sequence: sequence)
    }

    /// c in double precision, by its definition.
    static func cosine(
        _ y: Matrix, row: Int, _ hidden: Matrix, targetRow: Int, sequence rows: Range<Int>
    ) -> Double {
        var (yy, yt, tt) = (0.0, 0.0, 0.0)
        for column in 0..<hidden.columns {
            let square = rows.reduce(0.0) { $0 + Double(hidden[$1, column]) * Double(hidden[$1, column]) }
            guard square > 0 else { continue }
            let scale = Double(rows.count) / square
            let (a, b) = (Double(y[row, column]), Double(hidden[targetRow, column]))
            yy += scale * a * a
            yt += scale * a * b
            tt += scale * b * b
        }
        return yt / (yy * tt).squareRoot()
    }

    @Test func itsGradientIsTheDerivativeOfTheCosine() throws {
        let labels = [
            Self.label(0, target: 3, sequence: 0), Self.label(1, target: 7, sequence: 1),
            Self.label(2, target: nil, sequence: 1), Self.label(3, target: 3, sequence: 0),
        ]
        let weights: [Float] = [0.5, 2, 1, 0.25]
        let (y, dY) = (workspace.matrix(rows: 5, columns: 19), workspace.matrix(rows: 5, columns: 19))
        var random = RandomNumbers(seed: 6)
        random.fill(y)
        dY.fill(1)
        let rows = [0..<6, 6..<10]
        func cosines() -> [Double?] {
            labels.map { label in
                label.targetRow.map {
                    Self.cosine(y, row: label.row, hidden, targetRow: $0, sequence: rows[label.sequence])
                }
            }
        }
        let alignment = try #require(FeatureAlignment(lesson, LossWeights(sequences: [], features: 3)))
        // Rows that aren't of a label stay: the last of y has none.
        let found = alignment.addGradients(labels, weights: weights, y: y[rows: 0..<4], to: dY[rows: 0..<4])
        let expected = cosines()
        #expect(found.map { $0 == nil } == [false, false, true, false])
        for (one, other) in zip(found, expected) {
            if let one, let other { #expect(abs(Double(one) - other) < 1e-5) }
        }
        #expect(dY.row(2)[0] == 1 && dY.row(4)[0] == 1)
        for row in 0..<dY.rows { for column in 0..<dY.columns { dY[row, column] -= 1 } }
        expectGradients([("y", y, dY)], step: 1e-2, tolerance: 1e-2) {
            3 * zip(cosines(), weights).reduce(0.0) { $0 - Double($1.1) * ($1.0 ?? 0) }
        }
    }

    @Test func nothingIsLearntOfAStateWithoutLength() throws {
        hidden[rows: 6..<10].fill(0)
        let (y, dY) = (workspace.zeros(rows: 2, columns: 19), workspace.zeros(rows: 2, columns: 19))
        y[1, 0] = 1
        let alignment = try #require(FeatureAlignment(lesson, LossWeights(sequences: [], features: 3)))
        let labels = [Self.label(0, target: 1, sequence: 0), Self.label(1, target: 7, sequence: 1)]
        #expect(alignment.addGradients(labels, weights: [1, 1], y: y, to: dY) == [nil, nil])
        #expect(dY.elements.allSatisfy { $0 == 0 })
        withExtendedLifetime(workspace) {}
    }

    @Test func withoutWeightItIsLeftOut() {
        #expect(FeatureAlignment(lesson, LossWeights(sequences: [1, 1])) == nil)
        #expect(FeatureAlignment(lesson, nil) == nil)
    }

    /// It falls from its weight to nothing, a step at a time, and what the draft makes of it is measured.
    @Test func aRunLearnsItWhileItLasts() throws {
        let grid = try ProcessGrid(world: AbsentRanks(), tpSize: 1)
        func cosines(_ weight: Float) throws -> [[Double]?] {
            let run = try GoldenRun("llama")
            let loop = try TrainingLoop(
                grid: grid, model: run.trainer(AbsentRanks(), freezesHead: true), samples: run.samples,
                settings: TrainingSettings(
                    totalSteps: 12, globalBatchSize: 2, learningRate: 1e-2, featureLossWeight: weight))
            return try (0..<12).map { _ in try loop.run().statistics.cosines }
        }
        let none = try cosines(0)
        #expect(none.allSatisfy { $0 == nil })
        let learnt = try cosines(30).map { try #require($0)[0] }
        #expect(learnt[10] > learnt[0] + 0.1, "\(learnt)")
    }
}

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
        withExtendedLifetime(workspace) {}
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

    /// A channel that is next to nothing beside the others would otherwise weigh as much as they do, or without bound.
    @Test func channelsThatAreNextToNothingAreLeftOut() throws {
        let (y, dY) = (workspace.matrix(rows: 1, columns: 19), workspace.zeros(rows: 1, columns: 19))
        y.fill(1)
        let label = [Self.label(0, target: 1, sequence: 0)]
        func cosine() throws -> Float {
            let alignment = try #require(FeatureAlignment(lesson, LossWeights(sequences: [], features: 1)))
            return try #require(alignment.addGradients(label, weights: [1], y: y, to: dY)[0])
        }
        let without = try cosine()
        for row in 0..<hidden.rows { hidden[row, 7] = row.isMultiple(of: 2) ? 1e-30 : -1e-20 }
        #expect(try cosine() == without && dY[0, 7] == 0)
        withExtendedLifetime(workspace) {}
    }

    @Test func aRunLearnsIt() throws {
        let run = try GoldenRun("llama")
        let loop = try loop(run.samples, weight: 30, steps: 12, batch: 2)
        let learnt = try (0..<12).map { _ in try #require(try loop.run().statistics.cosines)[0] }
        #expect(learnt[10] > learnt[0] + 0.1, "\(learnt)")
        let other = try self.loop(run.samples, weight: 0, steps: 1, batch: 2)
        #expect(try other.run().statistics.cosines == nil)
    }

    /// Its weight falls in a line: what a step learns follows from how many are left, also in a run that goes on.
    @Test(arguments: [(8, 0, 8), (8, 6, 2), (8, 7, 1), (3, 1, 2)] as [(steps: Int, done: Int, left: Int)])
    func itsWeightFallsToNothing(steps: Int, done: Int, left: Int) throws {
        // Every step has the same sample, and the first of a run the same draft.
        let sample = try Array(GoldenRun("llama").samples.prefix(1))
        func firstNorm(weight: Float, steps: Int, done: Int) throws -> Double {
            let loop = try loop(sample, weight: weight, steps: steps, batch: 1)
            loop.resume(at: done)
            return try loop.run().gradNorm
        }
        let found = try firstNorm(weight: 6, steps: steps, done: done)
        let same = try firstNorm(weight: 6 * Float(left) / Float(steps), steps: 1, done: 0)
        #expect(abs(found - same) < 1e-5 * same)
        #expect(try abs(firstNorm(weight: 0, steps: 1, done: 0) - same) > 1e-3 * same)
    }

    private func loop(_ samples: [Sample], weight: Float, steps: Int, batch: Int) throws -> TrainingLoop {
        try TrainingLoop(
            grid: ProcessGrid(world: AbsentRanks(), tpSize: 1),
            model: GoldenRun("llama").trainer(AbsentRanks(), freezesHead: true), samples: samples,
            settings: TrainingSettings(
                totalSteps: steps, globalBatchSize: batch, learningRate: 1e-2, featureLossWeight: weight))
    }
}

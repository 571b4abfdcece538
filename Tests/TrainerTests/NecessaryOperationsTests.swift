import Shared
import Testing

@testable import Trainer

/// What the mathematics needs, against what a walk from every label to all that it depends on finds.
struct NecessaryOperationsTests {
    private let tttLength = 3

    private func sample(_ mask: [Bool]) -> Sample { Sample(inputIDs: mask.map { _ in 1 }, lossMask: mask) }

    private func rows(_ mask: [Bool]) -> NeededRows {
        NeededRows(TrainingTimeTestPlan(Batch([sample(mask)]), tttLength: tttLength, alignment: .label))
    }

    /// A number that a step computes.
    private enum Value: Hashable {
        /// h_k of a row.
        case hidden(step: Int, row: Int)
        /// Step 0's keys and values of a row.
        case keyValue(row: Int)
        /// A row of the target's logits, and one of its layers.
        case logits(row: Int)
        case target(row: Int)

        var dependencies: [Value] {
            switch self {
            case .hidden(step: let step, let row):
                (step > 0 ? [.hidden(step: step - 1, row: row)] : []) + (0...row).map { .keyValue(row: $0) }
            case .keyValue(let row): [.target(row: row)]
            case .logits(let row): [.target(row: row)]
            case .target(let row): row > 0 ? [.target(row: row - 1)] : []
            }
        }
    }

    private func reached(_ mask: [Bool]) -> Set<Value> {
        var (found, open): (Set<Value>, [Value]) = ([], [])
        for row in mask.indices {
            for step in 0..<tttLength where row + step + 2 < mask.count && mask[row + step + 2] {
                open += [.hidden(step: step, row: row), .logits(row: row + step + 1)]
            }
        }
        while let value = open.popLast() {
            if found.insert(value).inserted { open += value.dependencies }
        }
        return found
    }

    @Test(arguments: 0..<20)
    func rowsAreThoseThatALabelDependsOn(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let mask = (0..<1 + random.below(24)).map { _ in random.below(4) == 0 }
        let (rows, reached) = (rows(mask), reached(mask))
        for step in 0..<tttLength {
            let own = mask.indices.filter { reached.contains(.hidden(step: step, row: $0)) }
            #expect(rows.steps[step] == own.count)
            #expect(rows.seenKeys[step] == own.reduce(0) { $0 + Double($1 + 1 + step) })
        }
        #expect(rows.features == mask.indices.count { reached.contains(.keyValue(row: $0)) })
        #expect(rows.logits == mask.indices.filter { reached.contains(.logits(row: $0)) })
        #expect(rows.target == mask.indices.count { reached.contains(.target(row: $0)) })
    }

    @Test func arithmeticIsThatOfTheProducts() throws {
        let target = try TargetGolden("llama").load(AbsentRanks())
        var shape = Eagle3DraftModel.Shape(
            hiddenSize: 32, targetHiddenSize: 32, intermediateSize: 48, numAttentionHeads: 4, numKeyValueHeads: 2,
            headDim: 8, draftVocabSize: 96, rmsNormEpsilon: 1e-5)
        let rotary = RotaryEmbedding(frequencies: [1, 1, 1, 1], positions: 16)
        // Labels of steps 0, 1 and 2: the first 8, 7 and 6 rows. They learn from rows 1 to 8 of the target.
        let mask = [Bool](repeating: true, count: 10)
        let (rows, sequence) = (rows(mask), TrainingSequence(sample: sample(mask)))
        #expect(rows.steps == [8, 7, 6] && rows.features == 8)
        func draft() -> Eagle3DraftModel {
            Eagle3DraftModel(shape, Eagle3Training(tttLength: tttLength), rotary: rotary)
        }
        let work = draft().necessaryWork(sequence)
        #expect(work.targetRows == 9 && work.logits == Array(1...8))
        let (keyValue, weights) = (32 * 2 * 16, 32 * (32 + 2 * 16) + 32 * 32 + 3 * 32 * 96)
        let full = 2 * 9 * weights + 4 * 32 * 45
        let last = 2 * 9 * keyValue + 2 * 8 * (weights - keyValue) + 4 * 32 * 44
        let operations = NecessaryOperations(target: target, draft: draft(), targetLayers: [0, 1, 2])
        #expect(operations.targetCount(work) == Double(5 * full + last + 2 * 8 * 32 * 256))
        // If the draft sees the last layer, that needs all rows too.
        let deep = NecessaryOperations(target: target, draft: draft(), targetLayers: [0, 1, 5])
        #expect(deep.targetCount(work) == Double(6 * full + 2 * 8 * 32 * 256))

        let fc = 4 * 8 * 96 * 32
        let (keys, others) = (64 * 2 * 16, 64 * 32 + 32 * 32 + 3 * 32 * 48)
        let attention = 12 * 32 * (36 + (28 + 7) + (21 + 6 * 2))
        #expect(work.operations == Double(fc + 6 * (8 + 13) * (keys + others) + attention))
        #expect(operations.count(sequence) == operations.targetCount(work) + work.operations)
        #expect(operations.head(learnt: 5) == Double(6 * 5 * 32 * 96))
        shape.numHiddenLayers = 2
        let second = 6 * 21 * (32 * 2 * 16 + others - 32 * 32) + attention
        #expect(draft().necessaryWork(sequence).operations == work.operations + Double(second))
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A draft's first head is the target's: its direction, however many ranks hold it, in the size of random numbers.
struct HeadInitializationTests {
    @Test(arguments: TargetGolden.families, [1, 3])
    func isTheTargetsHeadInTheScaleOfRandomWeights(family: String, tpSize: Int) throws {
        let directory = Fixtures.goldens.appending(path: "targets/\(family)").path
        let ids: [Int32] = [2, 3, 5, 60, 61, 95]
        let heads = try ThreadCommunicator.run(tpSize) { communicator in
            let target = try TargetModelRegistry.load(directory, communicator: communicator, positions: 8)
            let configuration = try Eagle3Configuration(
                target: ModelConfiguration(directory: directory), draftVocabSize: ids.count)
            let draft = Eagle3DraftModel(configuration.shape, rotary: try configuration.rotary(positions: 8))
            draft.initializeHead(target, draftToTarget: ids)

            // The target's logits of an input are those of its norm's weight in the draft's hidden space.
            let workspace = Workspace()
            var random = RandomNumbers(seed: 3)
            let input = workspace.matrix(rows: 1, columns: target.configuration.hiddenSize)
            random.fill(input)
            let scaled = workspace.matrix(rows: 1, columns: input.columns)
            for column in 0..<input.columns {
                scaled[0, column] = input[0, column] * target.norm.weight[0, column]
            }
            let (logits, whole) = (
                workspace.matrix(rows: 1, columns: ids.count),
                workspace.matrix(rows: 1, columns: target.vocabulary.count)
            )
            multiply(input, transposed: draft.head.lmHead.weight.weight, into: logits)
            target.logits(scaled, into: whole)
            if let cap = target.description.logitCap {
                // The head's own numbers, before they are held within the cap.
                for column in 0..<whole.columns { whole[0, column] = cap * atanhf(whole[0, column] / cap) }
            }
            return (
                head: draft.head.lmHead.weight.weight.elements, logits: logits.elements, whole: whole.elements,
                vocabulary: target.vocabulary
            )
        }
        let head = heads[0].head
        let meanSquare = head.reduce(0) { $0 + Double($1 * $1) } / Double(head.count)
        let inputs = Double(head.count / ids.count)
        #expect(abs(meanSquare * 3 * inputs - 1) < 1e-5, "as large as numbers within ±1/√inputs")
        var factors: [Float] = []
        for rank in heads {
            #expect(rank.head == head, "ranks hold the same head")
            for (draft, id) in ids.enumerated() where rank.vocabulary.contains(Int(id)) {
                factors.append(rank.logits[draft] / rank.whole[Int(id) - rank.vocabulary.lowerBound])
            }
        }
        #expect(factors.count == ids.count)
        expectClose(factors, factors.map { _ in factors[0] }, tolerance: 1e-3, "the same factor everywhere")
    }
}

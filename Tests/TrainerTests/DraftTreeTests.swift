import Foundation
import Shared
import Testing

@testable import Trainer

/// Trees of drafted tokens: which they hold, and what is accepted of them.
struct DraftTreeTests {
    /// Probabilities of the next of three tokens, by the newest one alone.
    private static let next: [Int32: [Float]] = [
        -1: [0.5, 0.3, 0.2], 0: [0.6, 0.3, 0.1], 1: [0.1, 0.2, 0.7], 2: [0.34, 0.33, 0.33],
    ]

    private static func continuations(_ path: [Int32], _ count: Int) -> [DraftedToken] {
        let shares = next[path.last ?? -1] ?? []
        return shares.indices.sorted { shares[$0] > shares[$1] }.prefix(count).map {
            DraftedToken(id: Int32($0), logProbability: log(shares[$0]))
        }
    }

    /// By hand: of each step the two likeliest paths go on.
    @Test func holdsTheLikeliestPaths() {
        // 0: 0.5, 1: 0.3; then 00: 0.3, 12: 0.21, 01: 0.15, 11: 0.06; of 00 and 12: 000: 0.18, 001: 0.09, 120: 0.0714.
        let tree = DraftTree(.init(branches: 2, steps: 3, tokens: 7), continuations: Self.continuations)
        #expect(tree.count == 6)
        for path in [[0], [1], [0, 0], [1, 2], [0, 0, 0], [0, 1]] as [[Int32]] { #expect(tree.contains(path)) }
        for path in [[2], [1, 1], [0, 0, 1], [1, 2, 0], []] as [[Int32]] { #expect(!tree.contains(path)) }
    }

    /// Whatever is kept hangs together: what a path goes on from is kept too, also among equals.
    @Test(arguments: [1, 2, 3], [1, 2, 4])
    func pathsGoOnFromPathsThatAreKept(branches: Int, steps: Int) {
        for (tokens, isEven) in [(2, false), (5, true), (9, false), (9, true), (100, false), (100, true)] {
            let tree = DraftTree(.init(branches: branches, steps: steps, tokens: tokens)) { path, count in
                isEven
                    ? (0..<Int32(count)).map { DraftedToken(id: $0, logProbability: 0) }
                    : Self.continuations(path, count)
            }
            let all = Self.paths(steps)
            let kept = all.filter(tree.contains)
            #expect(kept.count == tree.count && tree.count <= tokens - 1)
            #expect(kept.allSatisfy { $0.count == 1 || tree.contains(Array($0.dropLast())) })
            #expect(tree.count == min(tokens - 1, branches + (steps - 1) * branches * branches))
        }
    }

    private static func paths(_ length: Int) -> [[Int32]] {
        length == 0
            ? [] : paths(length - 1).flatMap { path in (0..<3).map { path + [$0] } } + (0..<3).map { [$0] }
    }

    /// A draft whose tokens are those of a text, or in some places another one first.
    private final class Foreseeing: TreeDrafting {
        private let text: [Int32]
        private let secondEvery: Int
        private let never: Int
        private var count = 0

        init(_ text: [Int32], secondEvery: Int, never: Int) {
            (self.text, self.secondEvery, self.never) = (text, secondEvery, never)
        }

        func restart() { count = 0 }
        func advance(features: Matrix, next: [Int32]) { count += next.count }
        func draft(_ count: Int) -> [Int32] {
            var path: [Int32] = []
            while path.count < count { path.append(continuations(after: path, count: 1)[0].id) }
            return path
        }

        func continuations(after path: [Int32], count: Int) -> [DraftedToken] {
            let index = self.count + 1 + path.count
            let right = index < text.count ? text[index] : 0
            let choices =
                index.isMultiple(of: never)
                ? [right + 1, right + 2] : index.isMultiple(of: secondEvery) ? [right + 1, right] : [right, right + 1]
            return zip(choices, [Float(-0.4), -1.2]).prefix(count).map { DraftedToken(id: $0, logProbability: $1) }
        }
    }

    /// A chain is a tree of one branch, and more branches accept what a chain doesn't.
    @Test func acceptsAsFarAsThePathsGo() throws {
        let golden = try TargetGolden("llama")
        let model = try golden.load(AbsentRanks(), positions: 80)
        let target = TargetDecoder(model, targetLayers: [0], capacity: 80, workspace: Workspace())
        let prompt = Array(golden.ids.prefix(8))
        let plain = SpeculativeDecoding.plain(target, prompt: prompt, limit: 40, endTokens: []).tokens
        let draft = Foreseeing(prompt + plain, secondEvery: 3, never: 7)
        let chain = SpeculativeDecoding.speculative(
            target, draft, prompt: prompt, limit: 40, draftLength: 4, endTokens: [])
        let tree = { (branches: Int, tokens: Int) in
            SpeculativeDecoding.tree(
                target, draft, prompt: prompt, limit: 40,
                shape: .init(branches: branches, steps: 4, tokens: tokens), endTokens: [])
        }
        let (thin, wide) = (tree(1, 5), tree(2, 31))
        #expect(thin.tokens == plain && wide.tokens == plain)
        #expect(thin.statistics.acceptedAt == chain.statistics.acceptedAt)
        #expect(thin.statistics.byLength == chain.statistics.byLength)
        #expect(wide.statistics.accepted > thin.statistics.accepted)
        #expect(wide.statistics.tokens == plain.count - 1)
        // Every seventh token is in no tree, all others are: 39 tokens, of which those are the target's own.
        #expect(wide.statistics.verifications < 39 / 4 + 39 / 7 + 2)
    }

    /// The first of the continuations is what is drafted, as far as a path goes.
    @Test(arguments: DraftVariant.allCases)
    func anEagle3GoesOnAsItDrafts(variant: DraftVariant) throws {
        let run = try GoldenRun("llama")
        let workspace = Workspace()
        let trainer = try run.trainer(AbsentRanks(), variant: variant, workspace.compute)
        let (target, model) = try (
            #require(trainer.target as? DecoderTargetModel), #require(trainer.draft as? Eagle3DraftModel)
        )
        let ids = Array(run.samples[0].inputIDs.prefix(9))
        // It holds the features that its run returns.
        let source = TargetDecoder(target, targetLayers: trainer.targetLayers, capacity: 9, workspace: workspace)
        defer { withExtendedLifetime(source) {} }
        let features = source.run(Array(ids.dropLast())).auxiliary
        #expect(model.draftsTrees)
        let decoder = try #require(
            model.makeDecoder(
                draftToTarget: (0..<Int32(model.configuration.draftVocabSize)).map { $0 + 3 }, capacity: 20,
                workspace: workspace, embed: { ids, rows in target.embed(ids.map { $0 % 64 }, into: rows) })
                as? any TreeDrafting)
        decoder.advance(features: features, next: Array(ids.dropFirst()))
        let chain = decoder.draft(4)
        for length in 0..<4 {
            let next = decoder.continuations(after: Array(chain.prefix(length)), count: 3)
            #expect(next.count == 3 && next[0].id == chain[length])
            #expect(
                next[0].logProbability >= next[1].logProbability && next[1].logProbability >= next[2].logProbability)
        }
        let all = decoder.continuations(after: [], count: .max)
        #expect(abs(all.reduce(0) { $0 + exp(Double($1.logProbability)) } - 1) < 1e-5)
        #expect(Set(all.map(\.id)).count == model.configuration.draftVocabSize)
        #expect(decoder.draft(4) == chain, "what was tried leaves no trace")
    }

    @Test func aShapeIsReadAsItIsWritten() {
        #expect(DraftTree.Shape(argument: "8,5,32") == DraftTree.Shape(branches: 8, steps: 5, tokens: 32))
        #expect(DraftTree.Shape(argument: "8,5,32")?.shown == "8,5,32")
        for text in [
            "", "8", "8,5", "8,5,1", "0,5,32", "8,17,32", "8,5,32,1", "a,5,32", "8,,32", "99999999999999999999,1,2",
        ] {
            #expect(DraftTree.Shape(argument: text) == nil, "\(text)")
        }
    }
}

import Shared
import Testing

@testable import Trainer

/// Decoding with a key/value cache against the whole forward: windows, chunks and rotations of every family.
struct TargetDecodingTests {
    /// Rows of each run: a prompt, single tokens, verifications of several, and a block.
    private static let pieces = [17, 1, 1, 6, 1, 8, 1, 9, 1, 1, 1, 1]

    /// The last hidden states of a sequence that a cache takes in piece by piece.
    private func decode(_ golden: TargetGolden, _ target: DecoderTargetModel, _ pieces: [Int]) throws -> [Float] {
        let workspace = Workspace()
        let cache = target.makeCache(capacity: golden.ids.count)
        return pieces.flatMap { count in
            workspace.scope {
                let ids = Array(golden.ids[cache.count..<cache.count + count])
                let x = workspace.matrix(rows: count, columns: target.configuration.hiddenSize)
                target.embed(ids, into: x)
                target.forward(x, DecoderRows(continuing: cache, ids), in: workspace) { _, _ in }
                return x.elements
            }
        }
    }

    @Test(arguments: TargetGolden.families, [1, 3])
    func tokenByTokenEqualsTheWholeSequence(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        let expected = golden.state(golden.states.shape[0] - 1)
        #expect(Self.pieces.reduce(0, +) == golden.ids.count)
        for found in try ThreadCommunicator.run(
            tpSize,
            { communicator in
                let target = try golden.load(communicator)
                return [
                    try decode(golden, target, golden.ids.map { _ in 1 }), try decode(golden, target, Self.pieces),
                ]
            })
        {
            expectClose(found[0], expected, tolerance: 1e-4, "token by token")
            expectClose(found[1], expected, tolerance: 1e-4, "in pieces")
        }
    }

    /// Rows that are rolled back leave no trace, however many of a run they are.
    @Test(arguments: SpeculativeDecodingTests.hybrids, [0, 1, 5, 6])
    func whatIsTakenBackLeavesNothingBehind(family: String, kept: Int) throws {
        let golden = try TargetGolden(family)
        let target = try golden.load(AbsentRanks())
        let workspace = Workspace()
        func run(_ ids: [Int32], _ cache: KeyValueCache) -> [Float] {
            workspace.scope {
                let x = workspace.matrix(rows: ids.count, columns: target.configuration.hiddenSize)
                target.embed(ids, into: x)
                target.forward(x, DecoderRows(continuing: cache, ids), in: workspace) { _, _ in }
                return x.elements
            }
        }
        let (prompt, next) = (Array(golden.ids[..<17]), Array(golden.ids[17..<23]))
        let (plain, cache) = (target.makeCache(capacity: 48), target.makeCache(capacity: 48))
        let rest = Array(golden.ids[(17 + kept)..<(21 + kept)])
        _ = run(prompt, plain)
        if kept > 0 { _ = run(Array(next[..<kept]), plain) }
        let expected = run(rest, plain)
        _ = run(prompt, cache)
        // What is accepted, and something else.
        _ = run(Array(next[..<kept]) + next[kept...].map { $0 ^ 1 }, cache)
        cache.truncate(to: 17 + kept)
        #expect(run(rest, cache) == expected)
    }

    /// So that speculative decoding gives the tokens that plain decoding gives.
    @Test(arguments: TargetGolden.families)
    func aVerificationComputesWhatDecodingComputesBitByBit(family: String) throws {
        let golden = try TargetGolden(family)
        let target = try golden.load(AbsentRanks())
        let rest = golden.ids.count - 17
        let one = try decode(golden, target, [17] + [Int](repeating: 1, count: rest))
        // Up to the longest verification that there is.
        for pieces in [[6, 8, 3, 7, 7], [SpeculativeDecoding.longestDraft + 1, rest - FewRows.most]] {
            #expect(try decode(golden, target, [17] + pieces) == one)
        }
    }
}

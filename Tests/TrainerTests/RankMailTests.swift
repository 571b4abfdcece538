import TestSupport
import Testing

@testable import Trainer

/// Messages between the first rank and others come whole, each once and in their order, however they fit into letters.
struct RankMailTests {
    private static let rounds = 6

    /// What a rank writes to another one before a round: sometimes nothing, and what doesn't fit into a letter.
    private static func messages(from: Int, to: Int, round: Int) -> [[Int32]] {
        var random = TestSupport.SplitMix64(seed: UInt64(100 * from + 10 * to + round))
        return (0..<Int.random(in: 0..<4, using: &random)).map { _ in
            (0..<Int.random(in: 0..<9, using: &random)).map { _ in
                // Among them words whose bits are no number as a float.
                Int32.random(in: .min ... .max, using: &random)
            }
        }
    }

    @Test(arguments: [1, 2, 3], [1, 2, 7, 1000])
    func comeInTheirOrder(size: Int, most: Int) throws {
        let found = try ThreadCommunicator.run(size) { ranks -> [[[Int32]]] in
            let mail = RankMail(ranks, most: most)
            let others = ranks.rank == 0 ? Array(0..<size) : [0]
            var found = others.map { _ in [[Int32]]() }
            // Long enough for the longest of what is left.
            for round in 0..<Self.rounds + 200 {
                for other in others where round < Self.rounds {
                    for message in Self.messages(from: ranks.rank, to: other, round: round) {
                        mail.add(message, to: other)
                    }
                }
                #expect(!mail.isUnderWay)
                mail.begin(mark: Int32(10 * round + ranks.rank))
                #expect(mail.isUnderWay && mail.hasEnded())
                for (index, letter) in mail.end().enumerated() {
                    #expect(letter.mark == Int32(10 * round + others[index]))
                    found[index] += letter.messages.map(Array.init)
                }
            }
            return found
        }
        for rank in 0..<size {
            for (index, other) in (rank == 0 ? Array(0..<size) : [0]).enumerated() {
                let expected = (0..<Self.rounds).flatMap { Self.messages(from: other, to: rank, round: $0) }
                #expect(found[rank][index] == expected)
                #expect(!expected.isEmpty)
            }
        }
    }
}

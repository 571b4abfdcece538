import Shared

/// What a verification costs on this machine, by how many tokens are drafted for it, beside a plain step.
struct DraftingCosts: Equatable {
    /// Seconds of a step of the target without a draft.
    let plain: Double
    /// Seconds of a verification of each number of drafted tokens, drafting them included, from one on.
    let verifications: [Double]

    init(plain: Double, verifications: [Double]) {
        self.plain = plain
        self.verifications = verifications
    }

    /// Measures them after a prompt, each the least of some rounds that have all of them: other work on the machine only adds,
    /// and what lasts for some rounds adds to all.
    ///
    /// Collective: call on all ranks of a tensor-parallel group.
    /// - Parameters:
    ///   - prompt: At least one token.
    ///   - longest: The most tokens to draft.
    static func measure(
        _ target: TargetDecoder, _ draft: any Drafting, prompt: [Int32], longest: Int, rounds: Int = 5
    ) -> DraftingCosts {
        target.truncate(to: 0)
        let first = target.run(prompt, onlyLast: true)
        let memory = FrozenWeights(first.auxiliary.compute)
        let features = memory.matrix(rows: first.auxiliary.rows, columns: first.auxiliary.columns)
        features.copy(from: first.auxiliary)
        func seconds(drafted length: Int) -> Double {
            target.truncate(to: prompt.count)
            draft.restart()
            draft.advance(features: features, next: Array(prompt.dropFirst()) + first.next)
            let begin = ContinuousClock.now
            if length == 0 {
                _ = target.run(first.next)
            } else {
                let verified = target.run(first.next + draft.draft(length))
                draft.advance(features: verified.auxiliary[rows: 0..<1], next: [verified.next[0]])
            }
            return (ContinuousClock.now - begin).seconds
        }
        var least = [Double](repeating: .infinity, count: longest + 1)
        for _ in 0..<rounds {
            for length in 0...longest { least[length] = min(least[length], seconds(drafted: length)) }
        }
        return DraftingCosts(plain: least[0], verifications: Array(least.dropFirst()))
    }

    /// What drafting some number of tokens comes to.
    struct Estimate: Equatable {
        let draftLength: Int
        /// A verification's time in plain steps: the acceptance length above which drafting pays.
        let breakEven: Double
        let acceptanceLength: Double

        /// How many times as fast as plain decoding.
        var speedup: Double { acceptanceLength / breakEven }
    }

    /// An estimate for each draft length that was measured.
    /// - Parameter acceptedAt: Share of verifications that accepted the tokens at each position and at all before it.
    func estimates(acceptedAt: [Double]) -> [Estimate] {
        zip(verifications, acceptedAt.indices).map { seconds, position in
            Estimate(
                draftLength: position + 1, breakEven: seconds / plain,
                acceptanceLength: 1 + acceptedAt[...position].reduce(0, +))
        }
    }
}

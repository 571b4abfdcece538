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

    /// Measures them after a prompt, each the least of some runs: other work on the machine only adds.
    ///
    /// Collective: call on all ranks of a tensor-parallel group.
    /// - Parameters:
    ///   - prompt: At least one token.
    ///   - longest: The most tokens to draft.
    static func measure(
        _ target: TargetDecoder, _ draft: any Drafting, prompt: [Int32], longest: Int, repetitions: Int = 5
    ) -> DraftingCosts {
        target.truncate(to: 0)
        let first = target.run(prompt, onlyLast: true)
        let memory = FrozenWeights(first.auxiliary.compute)
        let features = memory.matrix(rows: first.auxiliary.rows, columns: first.auxiliary.columns)
        features.copy(from: first.auxiliary)
        func least(_ body: () -> Void) -> Double {
            (0..<repetitions).reduce(Double.infinity) { least, _ in
                target.truncate(to: prompt.count)
                draft.restart()
                draft.advance(features: features, next: Array(prompt.dropFirst()) + first.next)
                let clock = ContinuousClock.now
                body()
                return min(least, (ContinuousClock.now - clock).seconds)
            }
        }
        return DraftingCosts(
            plain: least { _ = target.run(first.next) },
            verifications: (1...longest).map { length in
                least {
                    let verified = target.run(first.next + draft.draft(length))
                    draft.advance(features: verified.auxiliary[rows: 0..<1], next: [verified.next[0]])
                }
            })
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

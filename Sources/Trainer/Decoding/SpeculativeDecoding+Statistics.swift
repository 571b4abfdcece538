extension SpeculativeDecoding {
    /// How much was drafted and accepted, as sums that can be added over prompts and ranks.
    struct Statistics: Equatable, Summable {
        var verifications = 0
        var drafted = 0
        var accepted = 0
        /// Verifications in which the tokens at each position and at all before it were accepted.
        var acceptedAt: [Int]
        /// Verifications by the length of the sequence that they continue.
        var byLength = [Bucket](repeating: Bucket(), count: Bucket.count)
        /// Tokens that verifications gave: the accepted ones and one of the target's own each.
        var tokens = 0
        var seconds = 0.0
        /// Seconds that drafting took: taking in what was verified, and the draft's steps.
        var draftSeconds = 0.0

        /// Sequences of some lengths.
        struct Bucket: Equatable, Summable {
            var verifications = 0
            var accepted = 0

            mutating func visitNumbers(_ visit: NumberVisitor) {
                visit(&verifications)
                visit(&accepted)
            }

            static let count = 8
            /// Below this many tokens is the first bucket; each further one reaches twice as far, the last any length.
            static let first = 128

            /// The bucket of a length in tokens.
            static func index(_ length: Int) -> Int {
                (0..<count - 1).first { length < first << $0 } ?? count - 1
            }

            /// What a bucket is called, as "below 128" or "128 to 255".
            static func name(_ index: Int) -> String {
                index == 0
                    ? "below \(first)"
                    : index == count - 1
                        ? "\(first << (index - 1)) and more" : "\(first << (index - 1)) to \(first << index - 1)"
            }

            var acceptanceLength: Double { 1 + Double(accepted) / Double(Swift.max(1, verifications)) }
        }

        init(draftLength: Int) { acceptedAt = [Int](repeating: 0, count: draftLength) }

        /// Adds a verification.
        ///
        /// The last token kept counts as the target's own, also where the text's end or the limit cuts off what was
        /// accepted after it: so `tokens` is always `verifications + accepted`, and no token counts that isn't in the
        /// output.
        /// - Parameters:
        ///   - drafted: Tokens that were drafted for it.
        ///   - kept: Tokens of it that the output holds, at least one.
        ///   - length: Of the sequence before it.
        mutating func add(drafted: Int, kept: Int, length: Int) {
            let accepted = kept - 1
            verifications += 1
            self.drafted += drafted
            self.accepted += accepted
            tokens += kept
            for position in 0..<accepted { acceptedAt[position] += 1 }
            let bucket = Bucket.index(length)
            byLength[bucket].verifications += 1
            byLength[bucket].accepted += accepted
        }

        mutating func visitNumbers(_ visit: NumberVisitor) {
            visit(&verifications)
            visit(&drafted)
            visit(&accepted)
            visit(&tokens)
            visit(&seconds)
            visit(&draftSeconds)
            visit(&acceptedAt)
            visit(&byLength)
        }

        /// Drafted tokens accepted in a verification; the acceptance length is one more.
        var acceptedPerVerification: Double { Double(accepted) / Double(Swift.max(1, verifications)) }

        /// Share of verifications in which the tokens at each position and at all before it were accepted.
        ///
        /// Their sum is `acceptedPerVerification`.
        var acceptedAtShares: [Double] { acceptedAt.map { Double($0) / Double(Swift.max(1, verifications)) } }

        /// Share of verifications that accepted each position among those that accepted all before it.
        var conditionalShares: [Double] {
            acceptedAt.indices.map { position in
                let before = position == 0 ? verifications : acceptedAt[position - 1]
                return Double(acceptedAt[position]) / Double(Swift.max(1, before))
            }
        }
    }
}

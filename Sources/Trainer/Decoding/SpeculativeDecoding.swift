import Shared

/// Greedy decoding with and without a draft: the same tokens, in fewer runs of the target.
enum SpeculativeDecoding {
    /// How much was drafted and accepted.
    struct Statistics: Equatable {
        var verifications = 0
        var drafted = 0
        var accepted = 0
        /// Verifications in which the token of each place was accepted.
        var acceptedAt: [Int]
        /// Tokens that verifications gave: the accepted ones and one of the target's own each.
        var tokens = 0
        var seconds = 0.0

        init(draftLength: Int) { acceptedAt = [Int](repeating: 0, count: draftLength) }

        mutating func add(_ other: Statistics) {
            verifications += other.verifications
            drafted += other.drafted
            accepted += other.accepted
            acceptedAt = zip(acceptedAt, other.acceptedAt).map(+)
            tokens += other.tokens
            seconds += other.seconds
        }

        /// Drafted tokens accepted in a verification; the acceptance length is one more.
        var acceptedPerVerification: Double { Double(accepted) / Double(Swift.max(1, verifications)) }
    }

    /// What the target says by itself after a prompt: up to `limit` tokens, the one that ends the text included.
    static func plain(
        _ target: TargetDecoder, prompt: [Int32], limit: Int, endTokens: Set<Int32>
    ) throws -> (tokens: [Int32], seconds: Double) {
        target.truncate(to: 0)
        var tokens = try target.run(prompt, onlyLast: true).next
        let clock = ContinuousClock.now
        while let last = tokens.last, tokens.count < limit, !endTokens.contains(last) {
            tokens += try target.run([last]).next
        }
        return (tokens, (ContinuousClock.now - clock).seconds)
    }

    /// The same with a draft, `draftLength` tokens a verification.
    static func speculative(
        _ target: TargetDecoder, _ draft: any Drafting, prompt: [Int32], limit: Int, draftLength: Int,
        endTokens: Set<Int32>
    ) throws -> (tokens: [Int32], statistics: Statistics) {
        var statistics = Statistics(draftLength: draftLength)
        target.truncate(to: 0)
        draft.restart()
        let first = try target.run(prompt, onlyLast: true)
        var tokens = first.next
        let clock = ContinuousClock.now
        try draft.advance(features: first.auxiliary, next: Array(prompt.dropFirst()) + tokens)
        while let last = tokens.last, tokens.count < limit, !endTokens.contains(last) {
            let drafted = try draft.draft(draftLength)
            let before = target.count
            let verified = try target.run([last] + drafted)
            let accepted = zip(drafted, verified.next).prefix { $0 == $1 }.count
            target.truncate(to: before + 1 + accepted)
            let new = Array(verified.next[0...accepted])
            try draft.advance(features: verified.auxiliary[rows: 0..<accepted + 1], next: new)
            statistics.verifications += 1
            statistics.drafted += draftLength
            statistics.accepted += accepted
            statistics.tokens += accepted + 1
            for place in 0..<accepted { statistics.acceptedAt[place] += 1 }
            let end = new.firstIndex(where: endTokens.contains).map { $0 + 1 } ?? new.count
            tokens += new[..<end]
        }
        statistics.seconds = (ContinuousClock.now - clock).seconds
        return (Array(tokens.prefix(limit)), statistics)
    }
}

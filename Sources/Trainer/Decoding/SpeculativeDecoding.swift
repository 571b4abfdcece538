import Shared

/// Decoding with and without a draft: the same tokens, in fewer runs of the target.
enum SpeculativeDecoding {
    /// The most tokens to draft for a verification.
    ///
    /// Up to here a verification, of one row more, computes each row bit by bit as plain decoding does; above it the
    /// rows would come from another product, whose last bits differ, and a near tie would look like an error.
    static let longestDraft = FewRows.most - 1

    /// What the target says by itself after a prompt: up to `limit` tokens, the one that ends the text included.
    ///
    /// - Parameter drawing: How tokens are drawn; nil for the likeliest.
    static func plain(
        _ target: TargetDecoder, prompt: [Int32], limit: Int, endTokens: Set<Int32>, drawing: TokenDrawing? = nil
    ) -> (tokens: [Int32], seconds: Double) {
        target.truncate(to: 0)
        var tokens = target.run(prompt, onlyLast: true, drawing).next
        let clock = ContinuousClock.now
        while let last = tokens.last, tokens.count < limit, !endTokens.contains(last) {
            tokens += target.run([last], drawing?.beginning(at: tokens.count)).next
        }
        return (tokens, (ContinuousClock.now - clock).seconds)
    }

    /// The same with a draft, `draftLength` tokens a verification, of which each accepts some.
    static func speculative(
        _ target: TargetDecoder, _ draft: any Drafting, prompt: [Int32], limit: Int, draftLength: Int,
        endTokens: Set<Int32>, drawing: TokenDrawing? = nil
    ) -> (tokens: [Int32], statistics: Statistics, accepted: [Int]) {
        var (statistics, acceptedEach) = (Statistics(draftLength: draftLength), [Int]())
        target.truncate(to: 0)
        draft.restart()
        let first = target.run(prompt, onlyLast: true, drawing)
        var tokens = first.next
        draft.advance(features: first.auxiliary, next: Array(prompt.dropFirst()) + tokens)
        let clock = ContinuousClock.now
        while let last = tokens.last, tokens.count < limit, !endTokens.contains(last) {
            let drafting = ContinuousClock.now
            let drafted = draft.draft(draftLength)
            let before = target.count
            let verifying = ContinuousClock.now
            let verified = target.run([last] + drafted, drawing?.beginning(at: tokens.count))
            let accepted = zip(drafted, verified.next).prefix { $0 == $1 }.count
            target.truncate(to: before + 1 + accepted)
            let new = Array(verified.next[0...accepted])
            let advancing = ContinuousClock.now
            draft.advance(features: verified.auxiliary[rows: 0..<accepted + 1], next: new)
            statistics.draftSeconds += (verifying - drafting + (ContinuousClock.now - advancing)).seconds
            let end = new.firstIndex(where: endTokens.contains).map { $0 + 1 } ?? new.count
            let kept = new[..<min(end, limit - tokens.count)]
            statistics.add(drafted: drafted.count, kept: kept.count, length: before + 1)
            acceptedEach.append(kept.count - 1)
            tokens += kept
        }
        statistics.seconds = (ContinuousClock.now - clock).seconds
        return (tokens, statistics, acceptedEach)
    }
}

import Shared

/// The evaluation of a draft while it trains: loss and accuracies on held-out samples, and speculative decoding of some
/// of their prompts.
final class HeldOutEvaluation {
    /// Those whose loss is measured.
    let samples: SomeSamples
    private let loop: TrainingLoop
    private let decoding: HeldOutDecoding?

    /// - Parameters:
    ///   - limit: The most samples whose loss is measured; nil for all.
    ///   - decoding: What decodes the prompts; nil if none is decoded, and the acceptance length is simulated.
    init(_ samples: any TrainingSamples, limit: Int?, _ loop: TrainingLoop, _ decoding: HeldOutDecoding?) {
        self.samples = SomeSamples(samples, limit: limit)
        self.loop = loop
        self.decoding = decoding
    }

    /// What an evaluation measured.
    struct Report {
        let statistics: TrainingStatistics
        /// Nil if no prompt was decoded.
        let decoding: DecodingResult?
        /// What later measurements may be compared with; nil if no prompt was decoded.
        let reference: AcceptanceReference?
        let samples: Int
        /// Of both parts.
        let seconds: Double
        let decodingSeconds: Double

        var source: BestDraft.Source { decoding == nil ? .simulated : .measured }

        /// What tells which draft is best.
        var acceptanceLength: Double { decoding?.acceptanceLength ?? statistics.simulatedAcceptanceLength }

        /// For the metrics.
        var values: [(String, JSONText)] {
            let decoded: [(String, JSONText)] =
                decoding.map { result in
                    [
                        ("acceptance_length", .number(result.acceptanceLength)),
                        ("accepted_at", .numbers(result.statistics.acceptedAtShares)),
                        ("decoded_prompts", .int(result.decoded.count)),
                        ("decoded_tokens", .int(result.statistics.tokens)),
                        ("decoding_tokens_per_second", .number(result.tokensPerSecond)),
                        ("decoding_seconds", .number(decodingSeconds)),
                    ]
                } ?? []
            return [("samples", .int(samples)), ("evaluation_seconds", .number(seconds))] + statistics.values + decoded
        }

        /// For the log.
        var line: String {
            let decoded =
                decoding.map { result in
                    " | \(fixed(result.acceptanceLength, 3)) tokens in each of \(result.statistics.verifications) verifications"
                } ?? ""
            return "\(statistics.line)\(decoded) | \(shortTime(seconds))"
        }
    }

    /// Measures the draft as it is.
    ///
    /// Collective: call on all ranks, which get the same.
    ///
    /// - Throws: `Interrupted` on all ranks, if any of them was asked to stop.
    func run() throws -> Report {
        let clock = ContinuousClock.now
        let statistics = try loop.evaluate(samples)
        let middle = ContinuousClock.now
        // Nothing was verified where no sample has a prompt that leaves room after it.
        let result = try decoding?.run(comparesPlain: false)
        let decoded = (result?.statistics.verifications ?? 0) > 0 ? result : nil
        return Report(
            statistics: statistics, decoding: decoded, reference: try decoded.flatMap { try decoding?.reference($0) },
            samples: samples.count,
            seconds: (ContinuousClock.now - clock).seconds, decodingSeconds: (ContinuousClock.now - middle).seconds)
    }
}

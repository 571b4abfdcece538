import Shared

/// What decoding held-out prompts came to.
struct DecodingResult {
    /// One prompt.
    struct Prompt: Equatable {
        let sample: Int
        var promptTokens = 0
        /// Tokens of the output, the first of which follows from the prompt alone.
        var tokens = 0
        var verifications = 0
        var accepted = 0
        /// With the draft, and without it; the prompt left out.
        var seconds = 0.0
        var plainSeconds = 0.0
        /// Whether plain decoding gave other tokens.
        var differs = false

        var isDecoded: Bool { tokens > 0 }

        var acceptanceLength: Double { 1 + Double(accepted) / Double(max(1, verifications)) }

        fileprivate var numbers: [Double] {
            get {
                [
                    Double(promptTokens), Double(tokens), Double(verifications), Double(accepted), seconds,
                    plainSeconds, differs ? 1 : 0,
                ]
            }
            set {
                (promptTokens, tokens, verifications, accepted) = (
                    Int(newValue[0]), Int(newValue[1]), Int(newValue[2]), Int(newValue[3])
                )
                (seconds, plainSeconds, differs) = (newValue[4], newValue[5], newValue[6] > 0)
            }
        }

        fileprivate static let numberCount = 7
    }

    var statistics: SpeculativeDecoding.Statistics
    var prompts: [Prompt]

    /// Nothing, for some prompts that may be decoded.
    init(draftLength: Int, prompts: Int) {
        statistics = SpeculativeDecoding.Statistics(draftLength: draftLength)
        self.prompts = [Prompt](repeating: Prompt(sample: 0), count: prompts)
    }

    var decoded: [Prompt] { prompts.filter(\.isDecoded) }

    /// Samples for which plain decoding gave other tokens.
    var differing: [Int] { prompts.filter(\.differs).map(\.sample) }

    var acceptanceLength: Double { 1 + statistics.acceptedPerVerification }

    /// Of one data-parallel group, prompts left out.
    var tokensPerSecond: Double { Double(statistics.tokens) / max(statistics.seconds, 1e-9) }

    /// The same without the draft; nil if that wasn't measured.
    var plainTokensPerSecond: Double? {
        let seconds = prompts.reduce(0) { $0 + $1.plainSeconds }
        guard seconds > 0 else { return nil }
        return Double(prompts.reduce(0) { $0 + max(0, $1.tokens - 1) }) / seconds
    }

    /// The sums over data-parallel groups, each counted by its first rank.
    func reduced(over grid: ProcessGrid) -> DecodingResult {
        let share = grid.tensorParallel.rank == 0 ? 1.0 : 0
        let own = statistics.numbers + prompts.flatMap { [Double($0.sample)] + $0.numbers }
        let sums = grid.world.sum(own.map { $0 * share })
        var result = self
        let first = statistics.numbers.count
        result.statistics.numbers = Array(sums[..<first])
        for i in prompts.indices {
            let start = first + i * (Prompt.numberCount + 1)
            result.prompts[i] = Prompt(sample: Int(sums[start]))
            result.prompts[i].numbers = Array(sums[start + 1...start + Prompt.numberCount])
        }
        return result
    }
}

import Shared

/// What decoding held-out prompts came to.
struct DecodingResult: Summable {
    /// One prompt.
    struct Prompt: Equatable, Summable {
        var sample: Int
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
        /// The output's tokens, and how many each verification accepted, followed by zeros; empty if they aren't kept.
        var output: [Int] = []
        var acceptedEach: [Int] = []

        /// Keeps as much of an output as there is room for.
        mutating func keep(output tokens: [Int32], acceptedEach accepted: [Int]) {
            for (index, token) in tokens.prefix(output.count).enumerated() { output[index] = Int(token) }
            for (index, count) in accepted.prefix(acceptedEach.count).enumerated() { acceptedEach[index] = count }
        }

        var isDecoded: Bool { tokens > 0 }

        var acceptanceLength: Double { 1 + Double(accepted) / Double(max(1, verifications)) }

        mutating func visitNumbers(_ visit: NumberVisitor) {
            visit(&sample)
            visit(&promptTokens)
            visit(&tokens)
            visit(&verifications)
            visit(&accepted)
            visit(&seconds)
            visit(&plainSeconds)
            visit(&differs)
            visit(&output)
            visit(&acceptedEach)
        }
    }

    var statistics: SpeculativeDecoding.Statistics
    /// Of drafted trees; nil if none are.
    var tree: SpeculativeDecoding.Statistics?
    var prompts: [Prompt]

    /// Nothing, for some prompts that may be decoded.
    ///
    /// - Parameter outputLimit: The most tokens of each output that are kept.
    init(draftLength: Int, tree: DraftTree.Shape? = nil, prompts: Int, outputLimit: Int = 0) {
        statistics = SpeculativeDecoding.Statistics(draftLength: draftLength)
        self.tree = tree.map { SpeculativeDecoding.Statistics(draftLength: $0.steps) }
        self.prompts = [Prompt](repeating: Prompt(sample: 0, outputLimit: outputLimit), count: prompts)
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

    mutating func visitNumbers(_ visit: NumberVisitor) {
        statistics.visitNumbers(visit)
        tree?.visitNumbers(visit)
        visit(&prompts)
    }

    /// The sums over data-parallel groups, each counted by its first rank.
    func reduced(over grid: ProcessGrid) -> DecodingResult {
        var own = self
        if grid.tensorParallel.rank != 0 { own.numbers = own.numbers.map { _ in 0 } }
        return own.summed(over: grid.world)
    }
}

extension DecodingResult.Prompt {
    /// Nothing yet, with room for an output's tokens.
    init(sample: Int, outputLimit: Int) {
        let room = [Int](repeating: 0, count: outputLimit)
        self.init(sample: sample, output: room, acceptedEach: room)
    }
}

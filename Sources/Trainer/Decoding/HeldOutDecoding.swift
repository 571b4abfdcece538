import Shared

/// Speculative decoding of held-out samples' prompts: what a draft is for, measured.
///
/// Prompts are divided among data-parallel groups; the ranks of a tensor-parallel group decode each one together.
final class HeldOutDecoding {
    /// How much is decoded.
    struct Limits {
        /// Prompts, evenly from all samples; nil for all.
        var prompts: Int?
        /// Tokens of each.
        var newTokens: Int
        /// Tokens drafted for a verification.
        var draftLength: Int
        /// The trees that are drafted too; none if nil.
        var tree: DraftTree.Shape?
        /// Whether the outputs' tokens are kept.
        var keepsOutput = false
        /// How the target's tokens are drawn, and the seed that all prompts' own follow from.
        var sampling = Sampling()
        var seed = 0

        /// How one sample's tokens are drawn; nil for the likeliest.
        func drawing(sample: Int) -> TokenDrawing? {
            guard !sampling.isGreedy else { return nil }
            return TokenDrawing(sampler: TokenSampler(sampling), seed: Digest(of: "\(seed) \(sample)").low)
        }

        /// The most tokens after a verified one that are drafted.
        var longestDraft: Int { max(draftLength, tree?.steps ?? 0) }

        /// Positions of the longest sequence: a prompt of up to `longest` tokens, what is decoded, and what is drafted then.
        func reach(longest: Int) -> Int { prompts == 0 ? 0 : longest + newTokens + longestDraft + 2 }

        /// Rows that target and draft keep for the longest sequence.
        func capacity(longest: Int, positions: Int) -> Int { min(positions, reach(longest: longest)) }

        /// Bytes that target and draft keep, for prompts of samples of up to `longest` tokens.
        func byteCount(
            longest: Int, positions: Int, _ target: DecoderTargetModel, targetLayers: Int, _ draft: any DraftModel
        ) -> Int {
            guard prompts != 0 else { return 0 }
            let capacity = capacity(longest: longest, positions: positions)
            return TargetDecoder.byteCount(target, targetLayers: targetLayers, capacity: capacity)
                + draft.decoderByteCount(capacity: capacity)
        }

        /// - Throws: `OptionsError` if the draft can't draft as many tokens, or no trees.
        func expectDraftable(by draft: any DraftModel) throws(OptionsError) {
            if draftLength > draft.longestDraft {
                throw .rule(
                    "--draft-length \(draftLength) is more than the \(draft.longestDraft) tokens of the draft's block")
            }
            if tree != nil, !draft.draftsTrees {
                throw .rule("--draft-tree has no meaning for this draft: it drafts no trees")
            }
        }
    }

    private let limits: Limits
    private let grid: ProcessGrid
    private let samples: StoreSamples
    private let positions: Int
    private let target: TargetDecoder
    /// The draft with its weights as they are now, which a decoder may hold in another form.
    private let makeDraft: () -> any Drafting
    /// The samples whose prompts are decoded.
    private let numbers: [Int]
    private let policy: BadSamplePolicy
    /// Their prompts, once they are read.
    private var known: [Int: [Int32]]?

    /// - Parameters:
    ///   - targetLayers: The target's layers whose outputs the draft sees.
    ///   - positions: The longest sequence that target and draft can take, drafted tokens included.
    ///   - policy: What becomes of a sample that can't be read.
    /// - Throws: `OptionsError` if the draft can't draft as many tokens as the limits have.
    init(
        draft: any DraftModel, targetLayers: [Int], draftToTarget: [Int32], _ target: DecoderTargetModel,
        _ samples: StoreSamples, _ limits: Limits, positions: Int, policy: BadSamplePolicy = .stop, _ grid: ProcessGrid,
        in workspace: Workspace
    ) throws(OptionsError) {
        try limits.expectDraftable(by: draft)
        self.policy = policy
        self.limits = limits
        self.grid = grid
        self.samples = samples
        self.positions = positions
        numbers = SomeSamples.numbers(limits.prompts, of: samples.count)
        let capacity = limits.capacity(longest: samples.longest, positions: positions)
        let decoder = TargetDecoder(
            target, targetLayers: targetLayers, capacity: capacity, workspace: workspace)
        self.target = decoder
        makeDraft = {
            draft.makeDecoder(
                draftToTarget: draftToTarget, capacity: capacity, workspace: workspace, embed: decoder.embed)
        }
    }

    /// Decodes all prompts.
    ///
    /// Collective: call on all ranks, which get what all of them measured.
    ///
    /// - Parameters:
    ///   - comparesPlain: Whether each prompt is decoded without the draft too.
    ///   - progress: Called with how many of the prompts are done and what this rank measured so far.
    /// - Throws: `Interrupted` on all ranks, if any of them was asked to stop.
    func run(
        comparesPlain: Bool, progress: (Int, SpeculativeDecoding.Statistics) -> Void = { _, _ in }
    ) throws -> DecodingResult {
        let kept = limits.keepsOutput ? limits.newTokens : 0
        var own = DecodingResult(
            draftLength: limits.draftLength, tree: limits.tree, prompts: numbers.count, outputLimit: kept)
        let (group, draft, prompts) = (grid.world.rank / grid.tpSize, makeDraft(), try prompts())
        for first in stride(from: 0, to: numbers.count, by: grid.dpSize) {
            try grid.world.stopIfInterrupted()
            if first + group < numbers.count {
                let number = numbers[first + group]
                own.prompts[first + group] = decode(number, prompts[number] ?? [], draft, comparesPlain, &own)
            }
            progress(min(numbers.count, first + grid.dpSize), own.statistics)
        }
        return own.reduced(over: grid)
    }

    /// The prompts that can be read, by their samples: the same ones on all ranks.
    ///
    /// Collective: call on all ranks.
    private func prompts() throws -> [Int: [Int32]] {
        if let known { return known }
        let read = numbers.map { number in Result { try samples.prompt(at: number) } }
        let bad = try BadSample.agree(on: zip(numbers, read).map { ($0, $1.failure) }, policy, grid)
        var prompts: [Int: [Int32]] = [:]
        for (number, prompt) in zip(numbers, read) where !bad.contains(number) { prompts[number] = try prompt.get() }
        known = prompts
        return prompts
    }

    /// What is to be kept of a result, to compare later ones with; nil if nothing was verified.
    ///
    /// Each rank has the same.
    func reference(_ result: DecodingResult) throws -> AcceptanceReference? {
        guard result.statistics.verifications > 0 else { return nil }
        let prompts = try prompts()
        return AcceptanceReference(
            promptsDigest: AcceptanceReference.digest(ofPrompts: result.decoded.map { prompts[$0.sample] ?? [] }),
            samples: samples.count, prompts: limits.prompts, newTokens: limits.newTokens,
            draftLength: limits.draftLength, verifications: result.statistics.verifications,
            acceptedAt: result.statistics.acceptedAtShares, products: grid.compute.description)
    }

    /// What drafting costs on this machine, after the first prompt; nil if no sample has one.
    ///
    /// Collective: call on all ranks. Those of a tensor-parallel group measure together, the groups beside each other.
    func costs() throws -> DraftingCosts? {
        let prompts = try prompts()
        for number in numbers {
            guard let prompt = prompts[number], !prompt.isEmpty else { continue }
            return DraftingCosts.measure(target, makeDraft(), prompt: prompt, longest: limits.draftLength)
        }
        return nil
    }

    /// Decodes one sample's prompt and adds to the statistics; the result is empty if there is none, or no room after it.
    private func decode(
        _ number: Int, _ prompt: [Int32], _ draft: any Drafting, _ comparesPlain: Bool, _ own: inout DecodingResult
    ) -> DecodingResult.Prompt {
        var result = DecodingResult.Prompt(sample: number, outputLimit: limits.keepsOutput ? limits.newTokens : 0)
        let limit = min(limits.newTokens, positions - prompt.count - limits.longestDraft - 2)
        guard !prompt.isEmpty, limit > 1 else { return result }
        let drafted = SpeculativeDecoding.speculative(
            target, draft, prompt: prompt, limit: limit, draftLength: limits.draftLength,
            endTokens: samples.endTokens, drawing: limits.drawing(sample: number))
        own.statistics.add(drafted.statistics)
        result.promptTokens = prompt.count
        result.tokens = drafted.tokens.count
        result.verifications = drafted.statistics.verifications
        result.accepted = drafted.statistics.accepted
        result.seconds = drafted.statistics.seconds
        result.keep(output: drafted.tokens, acceptedEach: drafted.accepted)
        if let shape = limits.tree, let draft = draft as? any TreeDrafting {
            let tree = SpeculativeDecoding.tree(
                target, draft, prompt: prompt, limit: limit, shape: shape, endTokens: samples.endTokens,
                drawing: limits.drawing(sample: number))
            own.tree?.add(tree.statistics)
            result.differs = tree.tokens != drafted.tokens
        }
        guard comparesPlain else { return result }
        let plain = SpeculativeDecoding.plain(
            target, prompt: prompt, limit: limit, endTokens: samples.endTokens,
            drawing: limits.drawing(sample: number))
        result.plainSeconds = plain.seconds
        result.differs = result.differs || plain.tokens != drafted.tokens
        return result
    }
}

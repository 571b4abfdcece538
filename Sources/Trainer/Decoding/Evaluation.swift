import Shared

/// The measuring of a draft: held-out statistics and speculative decoding of the samples' prompts.
///
/// Data-parallel groups take turns at the samples; the ranks of a tensor-parallel group decode each one together.
final class Evaluation {
    private let options: EvaluateCommand.Options
    private let grid: ProcessGrid
    private let samples: StoreSamples
    private let model: OnlineEagle3
    private let target: DecoderTargetModel
    private let draftToTarget: [Int32]
    private let workspace = Workspace()

    init(_ options: EvaluateCommand.Options, _ grid: ProcessGrid) throws {
        self.options = options
        self.grid = grid
        samples = try StoreSamples(
            options.evalDataPath, options.store, options.target, limit: options.maxSamples)
        let configuration = try ModelConfiguration(directory: options.target.targetModelPath)
        let positions = samples.longest + options.maxNewTokens + options.draftLength + options.tttLength + 2
        let draft: any DraftModel
        let draftConfiguration: Eagle3Configuration
        if let path = options.draftModelPath {
            draftConfiguration = try Eagle3Configuration(JSONFile("\(path)/config.json"), target: configuration)
            let file = try SafetensorsFile("\(path)/model.safetensors")
            draftToTarget = try draftConfiguration.draftToTarget(file)
            draft = try draftConfiguration.makeDraft(positions: positions)
            try draft.parameters.load(file)
        } else {
            draftConfiguration = try Eagle3Configuration(
                target: configuration, draftVocabSize: options.draftVocabSize)
            let size = draftConfiguration.shape.draftVocabSize
            draftToTarget = try samples.vocabularyMapping(draftVocabSize: size).draftToTarget
            draft = try draftConfiguration.makeDraft(positions: positions)
            draft.initialize(seed: 0)
        }
        target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel, positions: positions,
            expertParallel: options.target.expertParallel)
        model = OnlineEagle3(
            target: target, draft: draft, teacher: CompactTeacher(target, draftToTarget: draftToTarget),
            auxiliaryLayers: draftConfiguration.auxiliaryLayers, tttLength: options.tttLength, alignment: .label)
    }

    func run() throws -> Report {
        let measuring = Progress("held-out loss", total: Double(samples.count), unit: "samples")
        let heldOut = try HeldOut.measure(samples, model, grid, batchSize: 1, in: workspace) {
            measuring.update(Double($0))
        }
        measuring.finish()
        return try decode(heldOut)
    }

    private func decode(_ heldOut: TrainingStatistics) throws -> Report {
        let capacity = samples.longest + options.maxNewTokens + options.draftLength + 2
        let target = TargetDecoder(
            target, auxiliaryLayers: model.auxiliaryLayers, capacity: capacity, workspace: workspace)
        let draft = model.draft.makeDecoder(
            draftToTarget: draftToTarget, capacity: capacity, workspace: workspace, embed: target.embed)
        let progress = Progress("decoding", total: Double(samples.count), unit: "samples")
        let endTokens = samples.endTokens
        var total = SpeculativeDecoding.Statistics(draftLength: options.draftLength)
        var plain = (tokens: 0, seconds: 0.0)
        var differs = [Double](repeating: 0, count: samples.count)
        var prompts = 0
        let group = grid.world.rank / grid.tpSize
        for index in stride(from: group, to: samples.count, by: grid.dpSize) {
            try Interrupt.check()
            let sample = try samples.sample(at: index)
            guard let first = sample.lossMask.firstIndex(of: true), first > 0 else { continue }
            let prompt = Array(sample.inputIDs[..<first])
            let alone = try SpeculativeDecoding.plain(
                target, prompt: prompt, limit: options.maxNewTokens, endTokens: endTokens)
            let drafted = try SpeculativeDecoding.speculative(
                target, draft, prompt: prompt, limit: options.maxNewTokens, draftLength: options.draftLength,
                endTokens: endTokens)
            prompts += 1
            plain.tokens += alone.tokens.count - 1
            plain.seconds += alone.seconds
            total.add(drafted.statistics)
            if alone.tokens != drafted.tokens { differs[index] = 1 }
            progress.update(
                Double(index + 1), note: "\(fixed(total.acceptedPerVerification, 3)) accepted a verification")
        }
        progress.finish()
        return try report(heldOut, total, plain, prompts, differs)
    }

    /// Sums over data-parallel groups, each counted by its first rank.
    private func report(
        _ heldOut: TrainingStatistics, _ own: SpeculativeDecoding.Statistics, _ plain: (tokens: Int, seconds: Double),
        _ prompts: Int, _ differs: [Double]
    ) throws -> Report {
        let share = grid.tensorParallel.rank == 0 ? 1.0 : 0
        let numbers: [Double] =
            [
                Double(own.verifications), Double(own.drafted), Double(own.accepted), Double(own.tokens), own.seconds,
                Double(plain.tokens), plain.seconds, Double(prompts),
            ] + own.acceptedAt.map { Double($0) } + differs
        let sums = try grid.world.sum(numbers.map { $0 * share })
        var total = SpeculativeDecoding.Statistics(draftLength: options.draftLength)
        total.verifications = Int(sums[0])
        total.drafted = Int(sums[1])
        total.accepted = Int(sums[2])
        total.tokens = Int(sums[3])
        total.seconds = sums[4]
        total.acceptedAt = sums[8..<8 + options.draftLength].map { Int($0) }
        let differing = sums[(8 + options.draftLength)...].enumerated().filter { $1 > 0 }.map(\.offset)
        return Report(
            heldOut: heldOut, decoding: total, prompts: Int(sums[7]),
            plainTokensPerSecond: sums[5] / max(sums[6], 1e-9),
            tokensPerSecond: sums[3] / max(sums[4], 1e-9), differing: differing)
    }

    /// What was measured.
    struct Report {
        let heldOut: TrainingStatistics
        let decoding: SpeculativeDecoding.Statistics
        let prompts: Int
        /// Of one data-parallel group, prompts left out.
        let plainTokensPerSecond: Double
        let tokensPerSecond: Double
        /// Samples whose output with the draft wasn't that without it.
        let differing: [Int]

        var acceptanceLength: Double { 1 + decoding.acceptedPerVerification }

        /// Share of verifications in which the token of each place was accepted.
        var acceptedAt: [Double] {
            decoding.acceptedAt.map { Double($0) / Double(max(1, decoding.verifications)) }
        }

        var json: JSONText {
            .object([
                ("prompts", .int(prompts)), ("verifications", .int(decoding.verifications)),
                ("accepted_per_verification", .number(decoding.acceptedPerVerification)),
                ("acceptance_length", .number(acceptanceLength)),
                ("accepted_at", .array(acceptedAt.map(JSONText.number))),
                ("tokens_per_second", .number(tokensPerSecond)),
                ("plain_tokens_per_second", .number(plainTokensPerSecond)),
                ("speedup", .number(tokensPerSecond / plainTokensPerSecond)),
                ("identical_output", .bool(differing.isEmpty)),
                ("differing_samples", .array(differing.map(JSONText.int))), ("held_out", .object(heldOut.values)),
            ])
        }

        var text: String {
            let list = { (values: [Double]) in values.map { fixed($0, 3) }.joined(separator: " ") }
            return """
                prompts                     \(prompts)
                acceptance length           \(fixed(acceptanceLength, 3)) tokens a verification
                accepted a verification     \(fixed(decoding.acceptedPerVerification, 3)) of the drafted tokens, by \
                place \(list(acceptedAt))
                decoding                    \(fixed(tokensPerSecond, 1)) tokens/s with the draft, \
                \(fixed(plainTokensPerSecond, 1)) without: \(fixed(tokensPerSecond / plainTokensPerSecond, 2)) times
                same greedy output          \(differing.isEmpty ? "yes, on every prompt" : "NO, on \(differing.count)")
                held-out loss               \(list(heldOut.losses))
                held-out accuracy           \(list(heldOut.accuracies))
                  given those before right  \(list(heldOut.conditionalAccuracies))
                simulated acceptance length \(fixed(heldOut.simulatedAcceptanceLength, 3))
                """
        }
    }
}

extension Eagle3Configuration {
    /// The target's id of each draft id, by a checkpoint's `d2t`, which is checked; a draft of the whole vocabulary has
    /// none.
    func draftToTarget(_ file: SafetensorsFile) throws(WeightsError) -> [Int32] {
        if shape.draftVocabSize == vocabSize, file.tensors["d2t"] == nil { return (0..<Int32(vocabSize)).map { $0 } }
        let tensor = try file.tensor("d2t")
        try tensor.expect([shape.draftVocabSize])
        let ids = try tensor.integers().enumerated().map { Int32(truncatingIfNeeded: $0 + $1) }
        let isAscending = zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 }
        guard isAscending, ids.allSatisfy({ 0..<Int32(vocabSize) ~= $0 }) else {
            throw tensor.error("doesn't name ascending ids below vocab_size, \(vocabSize)")
        }
        return ids
    }
}

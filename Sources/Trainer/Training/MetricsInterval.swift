import Glibc
import Shared

/// What was measured since the last line of the log.
struct MetricsInterval {
    private(set) var statistics: TrainingStatistics
    private var tokens = 0.0
    private(set) var steps = 0
    private var skippedSteps = 0
    private var badSamples = 0
    /// This rank's samples, by whether the cache of the target's features had them.
    private(set) var targetCache: (hits: Int, misses: Int) = (0, 0)
    private var waited = Duration.zero
    private var clippedSteps = 0
    private var largestGradNorm = 0.0
    private var saveSeconds = 0.0
    /// The profile at the start; what isn't a step moves it on.
    private var start: PhaseTimes

    /// - Parameters:
    ///   - positions: How many the draft learns.
    ///   - start: The profile now.
    init(positions: Int, start: PhaseTimes) {
        statistics = TrainingStatistics(positions: positions)
        self.start = start
    }

    mutating func add(_ report: TrainingLoop.StepReport, maxGradNorm: Float) {
        if !report.isSkipped { statistics.add(report.statistics) }
        tokens += report.tokens
        badSamples += report.badSamples.count
        waited += report.waited
        if let counts = report.targetCache {
            targetCache = (targetCache.hits + counts.found, targetCache.misses + counts.computed)
        }
        steps += 1
        if report.isSkipped {
            skippedSteps += 1
        } else {
            largestGradNorm = max(largestGradNorm, report.gradNorm)
            if report.gradNorm > Double(maxGradNorm) { clippedSteps += 1 }
        }
    }

    /// Leaves out of the steps' time what something else took: an evaluation, or a checkpoint.
    mutating func leaveOut(_ times: PhaseTimes, isSaving: Bool) {
        start = start + times
        if isSaving { saveSeconds += times.elapsed }
    }

    /// Where the steps' time went on this rank, until `now`.
    func times(until now: PhaseTimes) -> PhaseTimes { now.since(start) }

    /// The record of these steps, the last of which is `report`.
    ///
    /// - Parameters:
    ///   - targetCache: Samples of all ranks, by whether the cache of the target's features had them; nil without one.
    ///   - loss: What the draft minimises.
    ///   - peakMemory: Of all ranks, in bytes.
    ///   - profile: Seconds of each phase, the mean over the ranks.
    func values(
        _ report: TrainingLoop.StepReport, epoch: Double, targetCache: (hits: Int, misses: Int)?,
        loss: (TrainingStatistics) -> Double, peakMemory: Double, profile: ProfileReport
    ) -> [(String, JSONText)] {
        let seconds = profile.elapsed
        let phases = profile.lines.filter { $0.most > 1e-6 }.map { ($0.name, JSONText.number($0.mean)) }
        let cached = targetCache.map { counts -> [(String, JSONText)] in
            [("target_cache_hits", .int(counts.hits)), ("target_cache_misses", .int(counts.misses))]
        }
        return [
            ("epoch", .number(epoch)), ("steps", .int(steps)),
            ("learning_rate", .number(Double(report.learningRate))), ("grad_norm", .number(report.gradNorm)),
            ("largest_grad_norm", .number(largestGradNorm)), ("clipped_steps", .int(clippedSteps)),
            ("loss", .number(loss(statistics))),
            ("seconds", .number(seconds)), ("tokens", .int(Int(tokens))),
            ("tokens_per_second", .number(tokens / max(seconds, 1e-9))), ("skipped_steps", .int(skippedSteps)),
            ("bad_samples", .int(badSamples)), ("data_wait_share", .number(waited.seconds / max(seconds, 1e-9))),
            ("phase_seconds", .object(phases)), ("peak_memory_bytes", .int(Int(peakMemory))),
            ("save_seconds", .number(saveSeconds)),
            ("unix_time", .int(time(nil))),
        ] + (cached ?? []) + statistics.values
    }
}

extension TrainingStatistics {
    /// What was measured of the draft; each array has an element for each position.
    var values: [(String, JSONText)] {
        [
            ("losses", .numbers(losses)), ("accuracies", .numbers(accuracies)),
            ("conditional_accuracies", .numbers(conditionalAccuracies)),
            ("acceptance_rates", .numbers(acceptanceRates)),
            ("simulated_acceptance_length", .number(simulatedAcceptanceLength)),
            ("supervised_tokens", .int(Int(positions[0].labels))),
            ("vocabulary_coverage", .number(positions[0].learnt / max(1, positions[0].labels))),
        ] + (cosines.map { [("cosines", .numbers($0))] } ?? [])
    }

    /// "loss 3.21 | acc 0.41 0.22 … | tau 1.52", for the log.
    var line: String {
        let accuracies = accuracies.map { fixed($0, 2) }.joined(separator: " ")
        return "loss \(fixed(losses[0], 3)) | acc \(accuracies) | tau \(fixed(simulatedAcceptanceLength, 3))"
    }
}

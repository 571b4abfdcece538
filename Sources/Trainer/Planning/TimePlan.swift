import Shared

/// The time of a training step: parts of it are run on the spot, and stand for the whole by their arithmetic.
///
/// What is run is the program's own code on a model of the right shapes whose weights were never read: a layer of each
/// kind of the target's, and the draft or its `trial`, with as many rows as take about a second. So
/// the rate is that of this machine, this precision and these shapes, norms and softmax included.
struct TimePlan {
    /// What takes time in a step of the whole world, and how many seconds.
    let parts: [(name: String, seconds: Double)]
    /// The same where the target's features are all in a cache; reading them is less than the estimate's error.
    let partsFromCache: [(name: String, seconds: Double)]

    var seconds: Double { parts.reduce(0) { $0 + $1.seconds } }
    var secondsFromCache: Double { partsFromCache.reduce(0) { $0 + $1.seconds } }

    /// What is planned for.
    struct Job {
        let target: DecoderTargetModel
        let draft: any DraftModel
        /// How many of the target's layers the draft sees.
        let targetLayers: Int
        let draftVocabSize: Int
        let sizes: StepSizes
        /// What computes here: as many threads as all ranks of this machine have.
        let compute: Compute
        /// Ranks of the world, and threads of each.
        let ranks: Int
        let threads: Int
        /// Micro batches of a rank in a step; the last may count for a part.
        let microBatches: Double
    }

    /// How long each sample may take, about.
    private static let sampleSeconds = 0.7

    init(_ job: Job) {
        // Ranks of one machine compute at the same time: so do as many threads here as all of them have.
        let threads = job.compute.threads
        let slowness = Double(threads) / Double(min(threads, job.threads))
        let sampler = StepSampler(job, operations: Self.sampleSeconds * StepSampler.productRate(job.compute))
        let target = sampler.targetSeconds() * slowness * job.microBatches
        let draft = sampler.draftSeconds() * slowness * job.microBatches
        let count = job.draft.parameters.gradients.count
        let rest = [
            ("draft", draft), ("optimizer", StepSampler.optimizerSeconds(count / job.ranks, job.compute) * slowness),
        ]
        guard job.ranks > 1 else {
            (parts, partsFromCache) = ([("target", target)] + rest, rest)
            return
        }
        let bytesPerSecond = StepSampler.allReduceRate(job.compute)
        /// - Parameter sums: How many times ranks that share a target add up their rows' hidden states.
        func communication(sums: Int) -> (String, Double) {
            let hidden = job.target.configuration.hiddenSize * job.sizes.groupRows
            let floats = job.sizes.tpSize > 1 ? Double(sums * hidden) * job.microBatches : 0
            return ("communication", 4 * (floats + Double(count)) / bytesPerSecond * slowness)
        }
        parts = [("target", target)] + rest + [communication(sums: 2 * job.target.layers.count + 1)]
        // The embedding, and the last hidden states, which each rank has of its own rows.
        partsFromCache = rest + [communication(sums: 2)]
    }
}

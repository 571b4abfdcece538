import Shared

/// The time of a training step: parts of it are run on the spot, and stand for the whole by their arithmetic.
///
/// What is run is the program's own code on a model of the right shapes whose weights were never read: a layer of each
/// kind of the target's, and the draft or its `trial`, with as many rows as take about a second, of a large draft 512. So
/// the rate is that of this machine, this precision and these shapes, norms and softmax included.
struct TimePlan {
    /// What takes time in a step of the whole world, and how many seconds.
    let parts: [(name: String, seconds: Double)]
    /// The same where the target's features are all in a cache; reading them is less than the estimate's error.
    let partsFromCache: [(name: String, seconds: Double)]

    var seconds: Double { parts.reduce(0) { $0 + $1.seconds } }
    /// A part's share of a step, 0 to 1.
    func share(of name: String) -> Double { (parts.first { $0.name == name }?.seconds ?? 0) / max(seconds, 1e-9) }
    var secondsFromCache: Double { partsFromCache.reduce(0) { $0 + $1.seconds } }

    /// What is planned for.
    struct Job {
        let target: DecoderTargetModel
        let draft: any DraftModel
        /// How many of the target's layers the draft sees.
        let targetLayers: Int
        let draftVocabSize: Int
        /// Whether Muon updates the draft's hidden matrices.
        let orthogonalizes: Bool
        let sizes: StepSizes
        /// What computes here: as many threads as all ranks of this machine have.
        let compute: Compute
        /// Ranks of the world.
        let ranks: Int
        /// Micro batches of a rank in a step; the last may count for a part.
        let microBatches: Double
    }

    /// How long each sample may take, about.
    fileprivate static let sampleSeconds = 0.7

    /// - Parameter pace: How fast the ranks are beside all of this machine's threads together.
    init(_ sample: Sample, _ pace: Pace) {
        let job = sample.job
        let attention = sample.attentionShare
        let target = sample.target * ((1 - attention) * pace.products + attention * pace.attention) * job.microBatches
        let rest = [
            ("draft", sample.draft * pace.products * job.microBatches),
            ("optimizer", sample.optimizer * pace.memory + sample.orthogonalization * pace.products),
        ]
        guard job.ranks > 1 else {
            (parts, partsFromCache) = ([("target", target)] + rest, rest)
            return
        }
        /// - Parameter sums: How many times ranks that share a target add up their rows' hidden states.
        func communication(sums: Int) -> (String, Double) {
            let hidden = job.target.configuration.hiddenSize * job.sizes.groupRows
            let floats = job.sizes.tpSize > 1 ? Double(sums * hidden) * job.microBatches : 0
            return ("communication", 4 * (floats + Double(job.draft.parameters.gradients.count)) / pace.exchange)
        }
        parts = [("target", target)] + rest + [communication(sums: 2 * job.target.layers.count + 1)]
        // The embedding, of each rank's own rows.
        partsFromCache = rest + [communication(sums: 1)]
    }

    /// What all threads of this machine took for a micro batch.
    struct Sample {
        let job: Job
        let target: Double
        let draft: Double
        let optimizer: Double
        /// The matrices of the rank that has most to do.
        let orthogonalization: Double
        /// Bytes a second that ranks of this machine exchange, by as many threads.
        let exchange: Double
        /// Of the target's arithmetic.
        let attentionShare: Double

        /// - Throws: `Interrupted`, as it takes a minute for a large target.
        init(_ job: Job) throws(Interrupted) {
            self.job = job
            let sampler = StepSampler(
                job, operations: TimePlan.sampleSeconds * (try StepSampler.productRate(job.compute)))
            target = try sampler.targetSeconds()
            draft = try sampler.draftSeconds()
            let count = job.draft.parameters.gradients.count
            optimizer = try StepSampler.optimizerSeconds(count / job.ranks, job.compute)
            orthogonalization =
                job.orthogonalizes
                ? try StepSampler.orthogonalizationSeconds(
                    Muon.deal(job.draft.parameters, ranks: job.ranks), job.compute) : 0
            exchange = job.ranks > 1 ? try StepSampler.allReduceRate(job.compute) : 1
            let operations = job.target.layers.reduce(into: (all: 0.0, products: 0.0)) { sum, layer in
                sum.all += job.sizes.operations(layer)
                sum.products += 2 * Double(job.sizes.groupRows) * layer.multipliedWeights
            }
            attentionShare = 1 - operations.products / max(1, operations.all)
        }

        /// Ranks of this machine, which compute at the same time: so did as many threads as all of them have.
        func pace(threads: Int) -> Pace {
            let factor = Double(job.compute.threads) / Double(min(job.compute.threads, threads))
            return Pace(products: factor, attention: factor, memory: factor, exchange: exchange / factor)
        }
    }
}

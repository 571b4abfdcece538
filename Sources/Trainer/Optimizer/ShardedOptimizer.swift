import Glibc

/// The optimizer, shared by the ranks, as ZeRO's first stage does: AdamW, with Muon for hidden matrices if it is asked for.
///
/// (Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models.)
///
/// Every rank has all weights and, after its backward passes, gradients of its own. Of their sum it gets its parts
/// alone, holds the moments of these alone and updates these alone; then each sends its weights to all others.
final class ShardedOptimizer {
    let sharding: Sharding
    let reduction: GradientReduction
    private let adam: AdamW
    /// What updates the hidden matrices, if that isn't AdamW.
    private let muon: Muon?
    private let parameters: ParameterStore
    /// Of this optimizer alone.
    private let communicator: any Communicator

    /// - Parameters:
    ///   - hasRounds: Whether a step adds up gradients of several rounds; see `GradientReduction`.
    ///   - reduceType: What gradients are rounded to on their way to the rank that adds them up.
    init(
        _ parameters: ParameterStore, _ settings: AdamW.Settings, muon: Muon.Settings? = nil,
        _ world: any Communicator, hasRounds: Bool = false, reduceType: WireType = .float32,
        bucketSize: Int = Sharding.bucketSize
    ) {
        self.parameters = parameters
        sharding = Sharding(count: parameters.gradients.count, ranks: world.size, bucketSize: bucketSize)
        communicator = world.split(color: 0)
        reduction = GradientReduction(parameters, sharding, world, hasRounds: hasRounds, wireType: reduceType)
        self.muon = muon.map { [sharding, communicator] in Muon(parameters, $0, sharding, communicator) }
        adam = AdamW(
            sharding.parts(of: world.rank), settings, parameters.compute, except: self.muon?.ranges ?? [])
    }

    /// Updates so far.
    var updates: Int {
        get { adam.updates }
        set { adam.updates = newValue }
    }

    /// Numbers of both moments that this rank holds.
    var momentCount: Int { 2 * adam.m.count }

    /// The norm of the summed gradients, the same on every rank and for any number of ranks.
    ///
    /// Each piece is summed by the rank that has it, and the pieces by all ranks in their order.
    func gradientNorm() -> Double {
        var sums = [Double](repeating: 0, count: sharding.pieces)
        for (range, sum) in GradientClipping.squares(parameters, sharding.parts(of: communicator.rank)) {
            sums[range.lowerBound / Sharding.pieceSize] = sum
        }
        return communicator.sum(sums).reduce(0, +).squareRoot()
    }

    /// Moves every weight along the summed gradient times `gradientFactor`; all ranks hold the same weights again.
    ///
    /// - Parameter workspace: Room for `Muon.update`.
    func update(learningRate: Float, gradientFactor: Float, in workspace: Workspace) {
        muon?.addMomentum(adam, gradientFactor: gradientFactor)
        updateByAdam(learningRate: learningRate, gradientFactor: gradientFactor)
        muon?.update(learningRate: learningRate, in: workspace)
    }

    private func updateByAdam(learningRate: Float, gradientFactor: Float) {
        guard let weights = parameters.weights.baseAddress else { return }
        let own = communicator.rank
        var pending = PendingExchanges<Void>()
        adam.update(parameters, learningRate: learningRate, gradientFactor: gradientFactor) { bucket in
            for range in adam.own(sharding.bucket(bucket)) {
                let parts = (0..<sharding.ranks).map { sharding.part(ofBucket: bucket, rank: $0).clamped(to: range) }
                let exchange = Exchange(
                    send: weights, sendBlocks: parts.indices.map { $0 == own ? 0..<0 : parts[own] },
                    receive: weights, receiveBlocks: parts.indices.map { $0 == own ? 0..<0 : parts[$0] })
                _ = pending.ended()
                if pending.isFull { _ = pending.wait() }
                pending.add((), communicator.startExchange(exchange))
            }
        }
        while !pending.isEmpty { _ = pending.wait() }
    }

    // MARK: - Checkpoints

    /// The moments, as checkpoints name them.
    enum Moment: String, CaseIterable { case first = "adam.m.", second = "adam.v." }

    private func buffer(_ moment: Moment) -> UnsafeMutableBufferPointer<Float> {
        switch moment {
        case .first: adam.m
        case .second: adam.v
        }
    }

    /// Gathers a moment on rank 0, a bucket at a time, in the order of the flat buffer.
    ///
    /// Collective: call on all ranks.
    ///
    /// - Parameter body: Called on rank 0 with each bucket's range and values. If it throws, the other ranks are
    ///   heard to the end, and then it is thrown on.
    func gather(
        _ moment: Moment, _ body: (Range<Int>, UnsafePointer<Float>) throws -> Void
    ) throws {
        let whole = UnsafeMutablePointer<Float>.allocate(capacity: sharding.bucketSize)
        defer { whole.deallocate() }
        var failure: (any Error)?
        for (bucket, own) in adam.momentRanges.enumerated() {
            let (range, isFirst) = (sharding.bucket(bucket), communicator.rank == 0)
            guard let start = buffer(moment).baseAddress else { continue }
            let parts = (0..<sharding.ranks).map { sharding.part(ofBucket: bucket, rank: $0) }
            communicator.startExchange(
                Exchange(
                    send: start, sendBlocks: parts.indices.map { $0 == 0 ? own : 0..<0 }, receive: whole,
                    receiveBlocks: parts.map {
                        isFirst ? $0.lowerBound - range.lowerBound..<$0.upperBound - range.lowerBound : 0..<0
                    })
            ).wait()
            guard isFirst, failure == nil else { continue }
            do { try body(range, UnsafePointer(whole)) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes this rank's parts of a moment.
    ///
    /// - Parameter body: Writes the values of some ranges of the flat buffer.
    func restore<E: Error>(_ moment: Moment, _ body: (Range<Int>, UnsafeMutablePointer<Float>) throws(E) -> Void)
        throws(E)
    {
        guard let start = buffer(moment).baseAddress else { return }
        for (range, part) in zip(adam.momentRanges, sharding.parts(of: communicator.rank)) where !part.isEmpty {
            try body(part, start + range.lowerBound)
        }
    }
}

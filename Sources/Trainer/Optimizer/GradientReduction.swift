import Glibc

/// Sums gradients over ranks: each rank gets the sum of its own parts of the buckets.
///
/// A bucket sets out as soon as a backward pass is done with it, while the pass goes on with others: the last bucket
/// first, as the head, whose weights come last, is first in the backward pass. A rank sends each other one its part,
/// and adds what it gets in the order of ranks that it is told. So sums are the same whenever a bucket is on its way,
/// and a rank sends and receives less than one buffer in all, as with any reduce-scatter.
final class GradientReduction: GradientObserver {
    private let sharding: Sharding
    /// Of this reduction alone, as buckets set out between other calls.
    private let communicator: any Communicator
    private let gradients: UnsafeMutablePointer<Float>
    private let compute: Compute
    /// The ranks whose gradients count, in the order in which they are added.
    private var order: [Int] = []
    /// Everything from here on is final.
    private var final: Int
    /// The bucket that sets out next.
    private var next = -1
    private var pending: [Pending] = []
    private var free: [UnsafeMutablePointer<Float>] = []
    /// The sums over several rounds of this rank's parts, concatenated, if there are several.
    private let sums: UnsafeMutablePointer<Float>?
    private var isFirstRound = true
    private let offsets: [Int]
    /// Elements that the other ranks send for a bucket, at most.
    private let receivedCount: Int

    private struct Pending {
        let bucket: Int
        let exchange: any PendingExchange
        /// What other ranks sent, concatenated.
        let received: UnsafeMutablePointer<Float>
    }

    /// Buckets that may be under way at a time.
    private static let mostPending = 4

    /// What buckets under way take at most, in bytes: room for what the other ranks send.
    static func pendingBytes(_ count: Int, ranks: Int) -> Int {
        mostPending * 4 * min(count, Sharding.bucketSize) / ranks * (ranks - 1)
    }

    /// - Parameter hasRounds: Whether a step adds up gradients of several rounds.
    init(
        _ parameters: ParameterStore, _ sharding: Sharding, _ world: any Communicator, hasRounds: Bool
    ) {
        guard let gradients = parameters.gradients.baseAddress else { preconditionFailure("a draft without weights") }
        self.sharding = sharding
        self.gradients = gradients
        compute = parameters.compute
        communicator = world.split(color: 0)
        final = sharding.count
        let parts = sharding.parts(of: world.rank)
        offsets = parts.indices.map { parts[..<$0].reduce(0) { $0 + $1.count } }
        receivedCount = (world.size - 1) * (parts.map(\.count).max() ?? 0)
        sums = hasRounds ? allocateFloats(parts.reduce(0) { $0 + $1.count }) : nil
    }

    deinit {
        for buffer in free + pending.map(\.received) { Glibc.free(buffer) }
        Glibc.free(sums)
    }

    /// Begins a step, whose first round follows.
    func beginStep() { isFirstRound = true }

    /// Begins a round: the gradients that follow are added up over these ranks in this order.
    func begin(order: [Int]) {
        precondition(pending.isEmpty)
        self.order = order
        final = sharding.count
        next = sharding.buckets - 1
    }

    func areFinal(from parameter: Parameter) {
        guard parameter.gradient.rows > 0 else { return }
        final = min(final, parameter.gradient.start - gradients)
        poll()
    }

    func poll() {
        while let first = pending.first, first.exchange.hasEnded() { add(pending.removeFirst()) }
        start()
    }

    /// Ends a round: all gradients are final, and are summed when this returns.
    func finish() {
        final = 0
        start()
        while let first = pending.first {
            first.exchange.wait()
            add(pending.removeFirst())
            start()
        }
        isFirstRound = false
    }

    /// Ends a step: this rank's parts of the gradients are the sums, of all rounds.
    func endStep() {
        guard let sums else { return }
        for (part, offset) in zip(sharding.parts(of: communicator.rank), offsets) {
            (gradients + part.lowerBound).update(from: sums + offset, count: part.count)
        }
    }

    private func start() {
        while next >= 0, sharding.bucket(next).lowerBound >= final, pending.count < Self.mostPending {
            let own = sharding.part(ofBucket: next, rank: communicator.rank)
            let received = free.popLast() ?? allocateFloats(receivedCount)
            let ranks = 0..<communicator.size
            let bucket = next
            let exchange = Exchange(
                send: gradients,
                sendBlocks: ranks.map { $0 == communicator.rank ? 0..<0 : sharding.part(ofBucket: bucket, rank: $0) },
                receive: received,
                receiveBlocks: ranks.map { rank in
                    let first = place(of: rank) * own.count
                    return rank == communicator.rank ? 0..<0 : first..<first + own.count
                })
            pending.append(
                Pending(
                    bucket: next, exchange: communicator.startExchange(exchange), received: received))
            next -= 1
        }
    }

    /// Where a rank's values stand among those of the other ranks.
    private func place(of rank: Int) -> Int { rank < communicator.rank ? rank : rank - 1 }

    /// Adds up this rank's part of a bucket, every number in the order of ranks.
    private func add(_ arrived: Pending) {
        let own = sharding.part(ofBucket: arrived.bucket, rank: communicator.rank)
        let mine = gradients + own.lowerBound
        var sources = order.map { rank in
            rank == communicator.rank ? mine : arrived.received + place(of: rank) * own.count
        }
        nonisolated(unsafe) let sum = sums.map { $0 + offsets[arrived.bucket] } ?? mine
        if sums != nil, !isFirstRound { sources.insert(sum, at: 0) }
        defer { free.append(arrived.received) }
        guard sources != [sum] else { return }
        guard let first = sources.first else { return sum.update(repeating: 0, count: own.count) }
        nonisolated(unsafe) let (start, rest) = (first, Array(sources.dropFirst()))
        // An element is as much work as it has sources: 64 ranks' sixty-fourth of a bucket is enough for many threads.
        compute.ranges((own.count + 15) / 16, atLeast: 1 + 2048 / (rest.count + 1)) { range in
            for i in stride(from: range.lowerBound * 16, to: range.upperBound * 16, by: 16) {
                var value = start.load(i, of: own.count)
                for source in rest { value += source.load(i, of: own.count) }
                sum.store(value, i, of: own.count)
            }
        }
    }
}

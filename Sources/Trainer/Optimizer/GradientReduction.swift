import Glibc
import Shared

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
    private var pending = PendingExchanges<Bucket>()
    private var free: [Buffers] = []
    private let wireType: WireType
    /// What other ranks sent for a bucket, widened, where it is sent as something else.
    private let widened: UnsafeMutablePointer<Float>?
    /// The sums over several rounds of this rank's parts, concatenated, if there are several.
    private let sums: UnsafeMutablePointer<Float>?
    private var isFirstRound = true
    private let offsets: [Int]
    /// Elements that the other ranks send for a bucket, at most.
    private let receivedCount: Int

    /// A bucket on its way.
    private struct Bucket {
        let index: Int
        let buffers: Buffers
    }

    private struct Buffers {
        /// What other ranks sent, concatenated.
        let received: UnsafeMutableRawPointer
        /// The bucket as it is sent, where that isn't as it is.
        let sent: UnsafeMutablePointer<UInt16>?
    }

    /// What buckets under way take at most, in bytes: room for what the other ranks send, and for what is sent to them
    /// where it is rounded.
    static func pendingBytes(_ count: Int, ranks: Int, _ wireType: WireType = .float32) -> Int {
        let bucket = min(count, Sharding.bucketSize)
        let (most, received) = (PendingExchanges<Bucket>.most, bucket / ranks * (ranks - 1))
        return most * wireType.byteCount * received
            + (wireType == .float32 ? 0 : most * wireType.byteCount * bucket + 4 * received)
    }

    /// - Parameters:
    ///   - hasRounds: Whether a step adds up gradients of several rounds.
    ///   - wireType: What gradients are rounded to on their way; they are added up in float32.
    init(
        _ parameters: ParameterStore, _ sharding: Sharding, _ world: any Communicator, hasRounds: Bool,
        wireType: WireType = .float32
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
        self.wireType = wireType
        widened = wireType == .float32 ? nil : allocateFloats(receivedCount)
        sums = hasRounds ? allocateFloats(parts.reduce(0) { $0 + $1.count }) : nil
    }

    deinit {
        for buffers in free + pending.purposes.map(\.buffers) {
            Glibc.free(buffers.received)
            Glibc.free(buffers.sent)
        }
        Glibc.free(widened)
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
        for bucket in pending.ended() { add(bucket) }
        start()
    }

    /// Ends a round: all gradients are final, and are summed when this returns.
    func finish() {
        final = 0
        start()
        while !pending.isEmpty {
            for bucket in pending.wait() { add(bucket) }
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
        while next >= 0, sharding.bucket(next).lowerBound >= final, !pending.isFull {
            let own = sharding.part(ofBucket: next, rank: communicator.rank)
            let buffers = free.popLast() ?? makeBuffers()
            let range = sharding.bucket(next)
            if let sent = buffers.sent { round(range, into: sent) }
            // Blocks are counted from the bucket's beginning where it was copied.
            let first = buffers.sent == nil ? 0 : range.lowerBound
            let ranks = 0..<communicator.size
            let bucket = next
            let exchange = Exchange(
                send: buffers.sent.map { UnsafeMutableRawPointer($0) } ?? UnsafeMutableRawPointer(gradients),
                sendBlocks: ranks.map { rank in
                    let part = sharding.part(ofBucket: bucket, rank: rank)
                    return rank == communicator.rank ? 0..<0 : part.lowerBound - first..<part.upperBound - first
                },
                receive: buffers.received,
                receiveBlocks: ranks.map { rank in
                    let first = slot(of: rank) * own.count
                    return rank == communicator.rank ? 0..<0 : first..<first + own.count
                },
                type: wireType)
            pending.add(Bucket(index: bucket, buffers: buffers), communicator.startExchange(exchange))
            next -= 1
        }
    }

    private func makeBuffers() -> Buffers {
        guard wireType == .bfloat16 else { return Buffers(received: allocateFloats(receivedCount), sent: nil) }
        let halves = { (count: Int) in UnsafeMutableRawPointer(allocateFloats((count + 1) / 2)) }
        let bucket = min(sharding.count, sharding.bucketSize)
        return Buffers(
            received: halves(receivedCount), sent: halves(bucket).bindMemory(to: UInt16.self, capacity: bucket))
    }

    private func round(_ range: Range<Int>, into sent: UnsafeMutablePointer<UInt16>) {
        nonisolated(unsafe) let (from, to) = (gradients + range.lowerBound, sent)
        compute.ranges(range.count, atLeast: 65_536) { part in
            BFloat16.round(from + part.lowerBound, into: to + part.lowerBound, count: part.count)
        }
    }

    /// What other ranks sent for a bucket, of `count` values from each.
    private func received(_ bucket: Bucket, count: Int) -> UnsafeMutablePointer<Float> {
        let received = bucket.buffers.received
        guard let widened else { return received.assumingMemoryBound(to: Float.self) }
        nonisolated(unsafe) let (from, to) = (received, widened)
        compute.ranges((communicator.size - 1) * count, atLeast: 65_536) { part in
            BFloat16.widen(from + 2 * part.lowerBound, into: to + part.lowerBound, count: part.count)
        }
        return widened
    }

    /// Where a rank's values stand among those of the other ranks.
    private func slot(of rank: Int) -> Int { rank < communicator.rank ? rank : rank - 1 }

    /// Adds up this rank's part of a bucket, every number in the order of ranks.
    private func add(_ arrived: Bucket) {
        let own = sharding.part(ofBucket: arrived.index, rank: communicator.rank)
        let received = received(arrived, count: own.count)
        let mine = gradients + own.lowerBound
        var sources = order.map { rank in
            rank == communicator.rank ? mine : received + slot(of: rank) * own.count
        }
        nonisolated(unsafe) let sum = sums.map { $0 + offsets[arrived.index] } ?? mine
        if sums != nil, !isFirstRound { sources.insert(sum, at: 0) }
        defer { free.append(arrived.buffers) }
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

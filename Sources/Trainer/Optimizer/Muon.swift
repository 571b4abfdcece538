/// Muon: momentum, made orthogonal for each matrix before the weights move along it.
///
/// With g the gradient of a matrix [m, n] after clipping:
///
///     M = μ M + (1 − μ) g        U = (1 − μ) g + μ M
///     W = W − lr λ W − lr 0.2 √max(m, n) orthogonal(U)
///
/// (Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks; as torch's `Muon`, with Nesterov's
/// momentum.) The factor 0.2 √max(m, n) makes a step as long as AdamW's typical one, so that both share a learning rate and
/// a decay (Liu et al. 2025, Muon is Scalable for LLM Training; torch's `match_rms_adamw`).
///
/// A matrix that is orthogonalized must be whole. Each rank adds up the momentum of its own parts, as of all weights;
/// then the matrices are dealt out, each to a rank that gathers its U, updates the weight and sends it to all others. So
/// a matrix is computed once, alike for any number of ranks.
final class Muon {
    struct Settings: Equatable {
        /// μ.
        var momentum: Float = 0.95
        var weightDecay: Float = 0
        /// The learning rate of these matrices over that of all other weights.
        var rateFactor: Float = 1
    }

    /// What is orthogonalized by itself: a checkpoint's tensor.
    struct Tensor {
        /// Its elements in the flat buffers.
        let range: Range<Int>
        let rows: Int
        let columns: Int
        /// The rank that updates it.
        fileprivate(set) var owner: Int

        /// FLOP of its orthogonalization.
        var work: Double { Orthogonalization.work(rows: rows, columns: columns) }
    }

    let settings: Settings
    let tensors: [Tensor]
    /// The parameters that they are tensors of, as ranges of the flat buffers, in order.
    let ranges: [Range<Int>]
    private let parameters: ParameterStore
    private let sharding: Sharding
    private let communicator: any Communicator

    /// - Parameter communicator: The optimizer's, for as many ranks as the weights are divided among.
    init(_ parameters: ParameterStore, _ settings: Settings, _ sharding: Sharding, _ communicator: any Communicator) {
        self.settings = settings
        self.parameters = parameters
        self.sharding = sharding
        self.communicator = communicator
        ranges = parameters.hiddenRanges
        tensors = Self.deal(parameters, ranks: sharding.ranks)
    }

    /// Gives each tensor, the most work first, to the rank with the least so far.
    static func deal(_ parameters: ParameterStore, ranks: Int) -> [Tensor] {
        var tensors = parameters.hiddenTensors.map {
            Tensor(range: $0.range, rows: $0.rows, columns: $0.columns, owner: 0)
        }
        var work = [Double](repeating: 0, count: ranks)
        for index in tensors.indices.sorted(by: { (tensors[$0].work, $1) > (tensors[$1].work, $0) }) {
            let owner = work.indices.min { (work[$0], $0) < (work[$1], $1) } ?? 0
            tensors[index].owner = owner
            work[owner] += tensors[index].work
        }
        return tensors
    }

    /// Adds the gradients of this rank's parts to their momentum, and puts U in the gradients' memory.
    ///
    /// - Parameter adam: What holds the momentum, as its first moment.
    func addMomentum(_ adam: AdamW, gradientFactor: Float) {
        guard let g = parameters.gradients.baseAddress, let m = adam.m.baseAddress else { return }
        let (kept, new) = (Vector(repeating: settings.momentum), Vector(repeating: 1 - settings.momentum))
        let factor = Vector(repeating: gradientFactor)
        nonisolated(unsafe) let pointers = (g, m)
        adam.forEachPiece(.others) { elements, moment in
            let (g, m, count) = (pointers.0 + elements.lowerBound, pointers.1 + moment, elements.count)
            for i in stride(from: 0, to: count, by: 16) {
                let gradient = new * factor * g.load(i, of: count)
                let sum = kept * m.load(i, of: count) + gradient
                m.store(sum, i, of: count)
                g.store(gradient + kept * sum, i, of: count)
            }
        }
    }

    /// Moves all matrices along what `addMomentum` left; every rank has the same weights again.
    ///
    /// Collective: call on all ranks.
    ///
    /// - Parameters:
    ///   - learningRate: Of all other weights.
    ///   - workspace: Room for a matrix of the largest tensor's size and two of its shorter side's.
    func update(learningRate: Float, in workspace: Workspace) {
        let learningRate = learningRate * settings.rateFactor
        guard let weights = parameters.weights.baseAddress, let gradients = parameters.gradients.baseAddress else {
            return
        }
        let own = communicator.rank
        share(gradients) { tensor, piece in
            let parts = self.parts(of: piece)
            return (
                parts.indices.map { $0 == tensor.owner && $0 != own ? parts[own] : 0..<0 },
                parts.indices.map { own == tensor.owner && $0 != own ? parts[$0] : 0..<0 }
            )
        }
        for tensor in tensors where tensor.owner == own {
            move(tensor, weights, along: gradients, learningRate: learningRate, in: workspace)
        }
        share(weights) { tensor, piece in
            let ranks = 0..<communicator.size
            return (
                ranks.map { own == tensor.owner && $0 != own ? piece : 0..<0 },
                ranks.map { $0 == tensor.owner && $0 != own ? piece : 0..<0 }
            )
        }
    }

    /// What each rank has of a piece of the flat buffers that lies in one bucket.
    private func parts(of piece: Range<Int>) -> [Range<Int>] {
        let bucket = piece.lowerBound / sharding.bucketSize
        return (0..<sharding.ranks).map { sharding.part(ofBucket: bucket, rank: $0).clamped(to: piece) }
    }

    /// Exchanges all tensors, a bucket's part of one at a time.
    private func share(
        _ buffer: UnsafeMutablePointer<Float>,
        _ blocks: (Tensor, Range<Int>) -> (send: [Range<Int>], receive: [Range<Int>])
    ) {
        guard communicator.size > 1 else { return }
        var pending = PendingExchanges<Void>()
        for tensor in tensors {
            for piece in sharding.cut(tensor.range) {
                let (send, receive) = blocks(tensor, piece)
                if pending.isFull { _ = pending.wait() }
                pending.add(
                    (),
                    communicator.startExchange(
                        Exchange(send: buffer, sendBlocks: send, receive: buffer, receiveBlocks: receive)))
            }
        }
        while !pending.isEmpty { _ = pending.wait() }
    }

    private func move(
        _ tensor: Tensor, _ weights: UnsafeMutablePointer<Float>, along directions: UnsafeMutablePointer<Float>,
        learningRate: Float, in workspace: Workspace
    ) {
        let matrix = { (start: UnsafeMutablePointer<Float>) in
            Matrix(
                start: start + tensor.range.lowerBound, rows: tensor.rows, columns: tensor.columns,
                self.parameters.compute)
        }
        let weight = matrix(weights)
        let stepSize = learningRate * 0.2 * Float(max(tensor.rows, tensor.columns)).squareRoot()
        let decay = Vector(repeating: 1 - learningRate * settings.weightDecay)
        workspace.scope {
            let direction = Orthogonalization.orthogonalize(matrix(directions), in: workspace)
            weight.compute.rows(weight.rows, of: weight.columns) { range in
                for row in range {
                    let (w, d, count) = (weight.row(row), direction.row(row), weight.columns)
                    for i in stride(from: 0, to: count, by: 16) {
                        w.store(w.load(i, of: count) * decay - stepSize * d.load(i, of: count), i, of: count)
                    }
                }
            }
        }
    }
}

import Shared

/// How fast a rank of a host computes and talks, with all of the host's ranks at work: what `Trainer measure --json`
/// finds there, and what `Trainer plan` reads of hosts that it doesn't run on.
struct MachineRates: Equatable {
    /// A product of a shape class.
    struct Product: Equatable {
        let shape: Shape
        let precision: MatrixPrecision
        /// FLOP a second.
        let rate: Double
    }

    /// Classes of products y = x Wᵀ, by what bounds them.
    enum Shape: String, CaseIterable {
        /// A decoding step: bound by reading the weight.
        case few
        /// A short sequence through a small model.
        case small
        /// A sequence through a large model: what training is made of.
        case large

        var size: (rows: Int, inputs: Int, outputs: Int) {
            switch self {
            case .few: (8, 4096, 4096)
            case .small: (256, 1024, 1024)
            case .large: (1024, 4096, 4096)
            }
        }
    }

    /// Threads of the rank, and ranks of its host that were measured with it.
    var threads: Int
    var ranks: Int
    var products: [Product]
    /// FLOP a second of attention over a sequence, in the precision of products.
    var attention: [MatrixPrecision: Double]
    /// Bytes a second that all threads read and write together, in a copy.
    var memory: Double
    /// Bytes a second of an all-reduce among the ranks; nil for one rank.
    var exchange: Double?

    func product(_ shape: Shape, _ precision: MatrixPrecision) -> Double? {
        products.first { $0.shape == shape && $0.precision == precision }?.rate
    }
}

extension MachineRates {
    /// Measures this machine, some seconds long: each rank by itself and all at the same time, of which the slowest counts.
    ///
    /// Collective: call on all ranks.
    /// - Parameter beat: Called between two runs; may end it by throwing.
    static func measure(_ grid: ProcessGrid, _ beat: () throws -> Void) throws -> MachineRates {
        let (world, compute) = (grid.world, grid.compute)
        func slowest(_ rate: Double) -> Double { -world.max([-rate])[0] }
        func timed(_ body: () -> Void) throws -> Double {
            world.barrier()
            return try seconds(beat, body)
        }
        var products: [Product] = []
        var attention: [MatrixPrecision: Double] = [:]
        for precision in MatrixPrecision.allCases where precision.isSupported {
            let compute = compute.with(precision: precision)
            for shape in Shape.allCases {
                let product = ProductSample(shape.size, compute)
                let rate = slowest(product.operations / (try timed { product.run() }))
                products.append(Product(shape: shape, precision: precision, rate: rate))
            }
            let sample = AttentionSample(compute)
            attention[precision] = slowest(sample.operations / (try timed { sample.run() }))
        }
        let workspace = Workspace(compute)
        let (from, to) = (workspace.zeros(rows: 4096, columns: 4096), workspace.zeros(rows: 4096, columns: 4096))
        let memory = slowest(Double(2 * 4 * from.count) / (try timed { to.copy(from: from) }))
        var exchange: Double?
        if world.size > 1 {
            let start = ContinuousClock.now
            for _ in 0..<3 { world.allReduceSum(to) }
            exchange = slowest(Double(3 * 4 * to.count) / (ContinuousClock.now - start).seconds)
        }
        return MachineRates(
            threads: compute.threads, ranks: world.splitByMachine().size, products: products, attention: attention,
            memory: memory, exchange: exchange)
    }

    /// The median of as many runs as take a fifth of a second, three at least, after one that isn't counted.
    private static func seconds(_ beat: () throws -> Void, _ body: () -> Void) throws -> Double {
        body()
        let start = ContinuousClock.now
        var last = start
        var seconds: [Double] = []
        while seconds.count < 3 || (last - start).seconds < 0.2 {
            try beat()
            body()
            let now = ContinuousClock.now
            seconds.append((now - last).seconds)
            last = now
        }
        return seconds.sorted()[seconds.count / 2]
    }
}

/// A product to be timed.
private struct ProductSample {
    private let x: Matrix
    private let y: Matrix
    private let weight: FrozenWeight
    /// Own the matrices.
    private let workspace: Workspace
    private let memory: FrozenWeights

    init(_ size: (rows: Int, inputs: Int, outputs: Int), _ compute: Compute) {
        (workspace, memory) = (Workspace(compute), FrozenWeights(compute))
        x = workspace.zeros(rows: size.rows, columns: size.inputs)
        y = workspace.zeros(rows: size.rows, columns: size.outputs)
        weight = memory.weight(rows: size.outputs, columns: size.inputs)
        x.fill(0.5)
        weight.fill(0.01)
    }

    var operations: Double { 2 * Double(x.rows) * Double(x.columns) * Double(y.columns) }

    func run() { weight.apply(x, into: y) }
}

/// Attention of a target over a sequence of 1,024 tokens, to be timed: 8 heads of 128, two of keys and values.
private struct AttentionSample {
    private static let (rows, heads, headDim) = (1024, 8, 128)
    private let attention: StreamingAttention
    private let queries: Matrix
    private let keyValue: Attention.KeyValue
    private let output: Matrix
    private let workspace: Workspace

    init(_ compute: Compute) {
        workspace = Workspace(compute)
        attention = StreamingAttention(
            numHeads: Self.heads, headDim: Self.headDim, keyValueHead: (0..<Self.heads).map { $0 / 4 }, scale: 0.1,
            precision: compute.precision)
        queries = workspace.zeros(rows: Self.rows, columns: Self.heads * Self.headDim)
        keyValue = Attention.KeyValue(
            keys: workspace.zeros(rows: Self.rows, columns: 2 * Self.headDim),
            values: workspace.zeros(rows: Self.rows, columns: 2 * Self.headDim))
        output = workspace.zeros(rows: Self.rows, columns: Self.heads * Self.headDim)
    }

    var operations: Double {
        4 * Double(Self.rows * (Self.rows + 1) / 2) * Double(Self.heads * Self.headDim)
    }

    func run() {
        attention.forward(
            queries, keyValue, visible: (0..<Self.rows).map { Int32($0 + 1) },
            segments: [Attention.Segment(queries: 0..<Self.rows, keys: 0..<Self.rows)], into: output, in: workspace)
    }
}

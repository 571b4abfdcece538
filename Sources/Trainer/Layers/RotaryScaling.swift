import Glibc
import Shared

/// The rotation that a configuration asks for, of which LongRoPE and dynamic scaling depend on a sequence's length.
///
/// The length is that of a whole sequence. For decoding it is the longest that the sequence may get, known from the
/// start, as inference engines have it: rows that are in the cache already can't be rotated again.
struct RotaryScaling {
    private let headDim: Int
    /// What cosines and sines are multiplied by.
    private let magnitude: Double
    private let kind: Kind

    private enum Kind {
        case fixed([Double])
        case long(short: [Double], long: [Double], from: Int)
        case dynamic(theta: Double, dimensions: Int, factor: Double, maxPositions: Int)
    }

    /// - Parameter turned: The elements of a head that turn, if it isn't the configuration's share of them.
    /// - Throws: `JSONError` that names the kind of scaling, if it isn't supported, or the key that it lacks.
    init(_ rope: RopeConfiguration, headDim: Int, turned: Int? = nil) throws(JSONError) {
        self.headDim = headDim
        let dimensions = turned ?? Int(Double(headDim) * rope.partialRotaryFactor) & ~1
        let plain = RotaryFrequencies.plain(theta: rope.theta, headDim: dimensions)
        switch rope.type {
        case "default": (kind, magnitude) = (.fixed(plain), 1)
        case "proportional":
            // Frequencies are those of whole heads, of which the first ones turn.
            let pairs = Int(rope.partialRotaryFactor * Double(headDim) / 2)
            let factor = rope.optional("factor") ?? 1
            let whole = RotaryFrequencies.plain(theta: rope.theta, headDim: headDim)
            (kind, magnitude) = (.fixed(whole.enumerated().map { $0 < pairs ? $1 / factor : 0 }), 1)
        case "linear":
            (kind, magnitude) = (.fixed(RotaryFrequencies.linear(plain, factor: try rope.parameter("factor"))), 1)
        case "llama3": (kind, magnitude) = (.fixed(try Self.llama3(rope, plain)), 1)
        case "yarn":
            (kind, magnitude) = (.fixed(try Self.yarn(rope, dimensions)), try Self.yarnMagnitude(rope))
        case "longrope", "su":
            let from = rope.originalMaxPositionEmbeddings ?? rope.maxPositionEmbeddings
            let short = try rope.list("short_factor", count: plain.count)
            let long = try rope.list("long_factor", count: plain.count)
            kind = .long(
                short: RotaryFrequencies.long(plain, factors: short),
                long: RotaryFrequencies.long(plain, factors: long), from: from)
            magnitude = try Self.longMagnitude(rope, from)
        case "dynamic":
            kind = .dynamic(
                theta: rope.theta, dimensions: dimensions, factor: try rope.parameter("factor"),
                maxPositions: rope.maxPositionEmbeddings)
            magnitude = 1
        default:
            throw rope.unsupported(["default", "linear", "llama3", "yarn", "longrope", "dynamic", "proportional"])
        }
    }

    /// A rotation of these frequencies, one for each pair, at every length.
    init(frequencies: [Double], headDim: Int) {
        self.headDim = headDim
        (kind, magnitude) = (.fixed(frequencies), 1)
    }

    /// Tables for positions below `positions` of sequences of `length` tokens.
    func embedding(positions: Int, length: Int) -> RotaryEmbedding {
        RotaryEmbedding(
            frequencies: frequencies(length: length), positions: positions, headDim: headDim, magnitude: magnitude)
    }

    /// The elements of a head that turn.
    var turned: Int {
        switch kind {
        case .fixed(let frequencies): 2 * frequencies.count
        case .long(let short, _, _): 2 * short.count
        case .dynamic(_, let dimensions, _, _): dimensions
        }
    }

    /// Whether sequences of both lengths are turned alike.
    func isSame(_ length: Int, _ other: Int) -> Bool {
        switch kind {
        case .fixed: true
        case .long(_, _, let from): (length > from) == (other > from)
        case .dynamic(_, _, _, let maxPositions): max(length, maxPositions) == max(other, maxPositions)
        }
    }

    /// The frequencies of sequences of any length, where they are the same.
    var fixedFrequencies: [Double] { frequencies(length: 0) }

    private func frequencies(length: Int) -> [Double] {
        switch kind {
        case .fixed(let frequencies): frequencies
        case .long(let short, let long, let from): length > from ? long : short
        case .dynamic(let theta, let dimensions, let factor, let maxPositions):
            RotaryFrequencies.dynamic(
                theta: theta, headDim: dimensions, factor: factor, maxPositions: maxPositions, length: length)
        }
    }

    private static func llama3(_ rope: RopeConfiguration, _ plain: [Double]) throws(JSONError) -> [Double] {
        RotaryFrequencies.llama3(
            plain, factor: try rope.parameter("factor"), lowFrequencyFactor: try rope.parameter("low_freq_factor"),
            highFrequencyFactor: try rope.parameter("high_freq_factor"),
            originalMaxPositions: try rope.parameter("original_max_position_embeddings"))
    }

    private static func yarn(_ rope: RopeConfiguration, _ dimensions: Int) throws(JSONError) -> [Double] {
        RotaryFrequencies.yarn(
            theta: rope.theta, headDim: dimensions, factor: try rope.parameter("factor"),
            turns: (rope.optional("beta_fast") ?? 32, rope.optional("beta_slow") ?? 1),
            originalMaxPositions: rope.optional("original_max_position_embeddings")
                ?? Double(rope.maxPositionEmbeddings),
            truncate: rope.flag("truncate", default: true))
    }

    /// YaRN's attention factor: 0.1 m log(factor) + 1.
    private static func yarnMagnitude(_ rope: RopeConfiguration) throws(JSONError) -> Double {
        if let given = rope.optional("attention_factor") { return given }
        let factor = try rope.parameter("factor")
        let magnitude = { (m: Double) -> Double in Self.magnitude(m, factor: factor) }
        guard let m = rope.optional("mscale"), let all = rope.optional("mscale_all_dim"), m != 0, all != 0 else {
            return magnitude(1)
        }
        return magnitude(m) / magnitude(all)
    }

    /// What YaRN multiplies by where a sequence is `factor` times as long as before.
    static func magnitude(_ m: Double, factor: Double) -> Double { factor <= 1 ? 1 : 0.1 * m * log(factor) + 1 }

    /// LongRoPE's attention factor: √(1 + log(factor) / log(original length)).
    private static func longMagnitude(_ rope: RopeConfiguration, _ original: Int) throws(JSONError) -> Double {
        if let given = rope.optional("attention_factor") { return given }
        let factor =
            rope.originalMaxPositionEmbeddings == nil
            ? try rope.parameter("factor") : Double(rope.maxPositionEmbeddings) / Double(original)
        return factor <= 1 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
    }
}

/// A rotation's tables, made once where sequences of all lengths share them.
struct RotaryTables {
    private let scaling: RotaryScaling
    private let positions: Int
    private let short: RotaryEmbedding
    private let long: RotaryEmbedding

    /// - Parameter positions: The longest sequence.
    init(_ scaling: RotaryScaling, positions: Int) {
        self.scaling = scaling
        self.positions = positions
        short = scaling.embedding(positions: positions, length: 0)
        long = scaling.isSame(0, positions) ? short : scaling.embedding(positions: positions, length: positions)
    }

    /// The tables of a sequence of `length` tokens.
    func embedding(length: Int) -> RotaryEmbedding {
        if scaling.isSame(length, 0) { return short }
        return scaling.isSame(length, positions) ? long : scaling.embedding(positions: length, length: length)
    }
}

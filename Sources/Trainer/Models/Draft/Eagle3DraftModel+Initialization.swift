import Glibc
import Shared

/// First weights, and weights from and to checkpoints.
extension Eagle3DraftModel {
    /// Norms 1, matrices normal with standard deviation `range`, by a seed: the same on every rank and machine.
    ///
    /// As Hugging Face initialises linear maps; each tensor has a sequence of its own, so that its numbers don't
    /// depend on the others' shapes.
    func initialize(seed: UInt64, range: Double) {
        for (index, parameter) in parameters.parameters.enumerated() {
            guard parameter.weight.rows > 1 else {
                parameter.weight.fill(1)
                continue
            }
            var random = SplitMix64(seed: seed &+ UInt64(index) &* 0x5851_F42D_4C95_7F2D)
            for row in 0..<parameter.weight.rows {
                for column in 0..<parameter.weight.columns {
                    parameter.weight[row, column] = Float(random.normal() * range)
                }
            }
        }
    }

    /// Copies the rows of the target's head that the draft vocabulary has: a head that knows the tokens already.
    func initializeHead(
        _ target: ModelConfiguration, _ weights: WeightDirectory, _ mapping: VocabularyMapping
    ) throws(WeightsError) {
        let tensor = try weights.tensor(target.tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight")
        try tensor.expect([target.vocabSize, target.hiddenSize])
        let head = lmHead.weight.weight
        for (draft, id) in mapping.draftToTarget.enumerated() {
            try tensor.copy(
                rows: Int(id)..<Int(id) + 1, columns: 0..<target.hiddenSize, into: head.row(draft), stride: head.stride)
        }
    }

    /// Reads every weight from a checkpoint.
    /// - Throws: `WeightsError` that names the tensor that is missing or misshapen.
    func load(_ file: SafetensorsFile) throws(WeightsError) {
        for (name, shape, values) in parameters.tensors {
            let tensor = try file.tensor(name)
            try tensor.expect(shape)
            try tensor.copy(
                rows: 0..<values.rows, columns: 0..<values.columns, into: values.start, stride: values.stride)
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): a sequence that is the same everywhere.
struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) / 9_007_199_254_740_992 }

    /// Standard normal, by Box and Muller's transformation.
    mutating func normal() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }

    /// Uniform in 0..<bound.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }
}

import Glibc
import Shared

/// A weight, the gradient that backward passes add to, and the checkpoint tensors that it is made of.
struct Parameter {
    /// The tensors, one below the other: `q_proj`, `k_proj` and `v_proj` are one matrix for one product.
    ///
    /// None of a weight that isn't saved.
    let parts: [Part]
    /// [out features, in features]; a vector is one row.
    let weight: Matrix
    /// As `weight`; no rows if the weight is frozen.
    let gradient: Matrix
    /// As `weight`, where products are in bfloat16: what it was at `ParameterStore.round()`.
    let rounded: BFloat16Matrix?
    /// Whether it maps features to features, and isn't a vector, an embedding or a head.
    let isHidden: Bool

    struct Part {
        /// The tensor's name in a checkpoint.
        let name: String
        let rows: Range<Int>
        /// The shape in a checkpoint: [out, in], or [out] for a vector.
        let shape: [Int]
    }

    /// A weight that isn't trained.
    init(frozen weight: Matrix) {
        parts = []
        self.weight = weight
        gradient = Matrix(start: weight.start, rows: 0, columns: weight.columns, weight.compute)
        rounded = nil
        isHidden = false
    }

    /// Whether it isn't trained.
    var isFrozen: Bool { gradient.rows == 0 }

    /// The rows in `range` of the weight and of its gradient.
    subscript(rows range: Range<Int>) -> Parameter {
        Parameter(
            parts: [], weight: weight[rows: range], gradient: isFrozen ? gradient : gradient[rows: range],
            rounded: rounded?[rows: range], isHidden: isHidden)
    }

    fileprivate init(parts: [Part], weight: Matrix, gradient: Matrix, rounded: BFloat16Matrix?, isHidden: Bool) {
        self.parts = parts
        self.weight = weight
        self.gradient = gradient
        self.rounded = rounded
        self.isHidden = isHidden
    }
}

/// All weights in one flat buffer and the gradients of those that are trained in another, with named views into both.
///
/// So the optimizer is one loop, the gradients' all-reduce one call over one buffer, and zeroing one fill. Weights that
/// aren't trained come after those that are, so that a weight and its gradient have the same offset.
final class ParameterStore {
    private(set) var parameters: [Parameter] = []
    /// [count]: every weight, each parameter from a multiple of 16 on; what lies between is zero.
    let weights: UnsafeMutableBufferPointer<Float>
    /// [trained count], as the first of `weights`.
    let gradients: UnsafeMutableBufferPointer<Float>
    private var used = 0
    /// [matrices' elements]: bfloat16 copies of all matrices, if products are in bfloat16.
    private let rounded: UnsafeMutableBufferPointer<UInt16>
    private var usedRounded = 0
    /// What the three are in; zero until it is written.
    private let memory = (weights: ReservedMemory(), gradients: ReservedMemory(), rounded: ReservedMemory())

    /// What a parameter will be: its tensors' names and rows, below each other, and its columns.
    struct Declaration {
        let parts: [(name: String, rows: Int)]
        let columns: Int
        let isVector: Bool
        var isFrozen = false
        /// Whether it stands in checkpoints; a weight that is the target's as it is doesn't.
        var isSaved = true
        var isOfVocabulary = false

        /// A matrix of one or more tensors below each other.
        ///
        /// - Parameter isOfVocabulary: Whether one of its sides is the vocabulary: an embedding or a head.
        static func matrix(
            _ parts: [(name: String, rows: Int)], columns: Int, isFrozen: Bool = false, isSaved: Bool = true,
            isOfVocabulary: Bool = false
        ) -> Declaration {
            precondition(isSaved || isFrozen, "a trained parameter that isn't saved")
            return Declaration(
                parts: parts, columns: columns, isVector: false, isFrozen: isFrozen, isSaved: isSaved,
                isOfVocabulary: isOfVocabulary)
        }

        /// A vector, saved under one name or under several.
        static func vector(_ names: String..., count: Int) -> Declaration {
            Declaration(parts: names.map { ($0, 1) }, columns: count, isVector: true)
        }

        fileprivate var rows: Int { isVector ? 1 : parts.reduce(0) { $0 + $1.rows } }
        fileprivate var capacity: Int { (rows * columns + 15) & ~15 }
        fileprivate var roundedCapacity: Int { isVector ? 0 : rows * BFloat16Matrix.stride(columns: columns) }
    }

    /// What computes with them.
    let compute: Compute

    /// Makes all parameters at once, zero; those that aren't trained come last.
    init(_ declarations: [Declaration], _ compute: Compute) {
        self.compute = compute
        let trained = declarations.prefix { !$0.isFrozen }
        precondition(declarations[trained.count...].allSatisfy(\.isFrozen), "a trained parameter after a frozen one")
        let count = declarations.reduce(0) { $0 + $1.capacity }
        weights = memory.weights.elements(count)
        gradients = memory.gradients.elements(trained.reduce(0) { $0 + $1.capacity })
        let isRounded = compute.precision == .bfloat16
        rounded = memory.rounded.elements(isRounded ? declarations.reduce(0) { $0 + $1.roundedCapacity } : 0)
        parameters = declarations.map(place)
    }

    /// Bytes of the rounded copies.
    var roundedByteCount: Int { 2 * rounded.count }

    /// Numbers that are trained, without the gaps between parameters.
    var parameterCount: Int { parameters.reduce(0) { $0 + $1.gradient.count } }

    /// Bytes of weights, gradients and a rank's part of both moments.
    func trainingByteCount(ranks: Int) -> Int {
        4 * weights.count + roundedByteCount + 4 * gradients.count + 8 * gradients.count / ranks
    }

    /// A digest of all weights, to tell whether two drafts are the same bit by bit.
    var digest: Digest { Digest(of: UnsafeRawBufferPointer(UnsafeBufferPointer(weights))) }

    func zeroGradients() {
        guard let start = gradients.baseAddress else { return }
        Matrix(start: start, rows: gradients.count / 16, columns: 16, compute).fill(0)
    }

    /// Rounds all matrices for products in bfloat16, if they are.
    ///
    /// What a draft begins every computation with, so that no weight that has changed since is used: a fraction of a
    /// percent of what a batch costs.
    func round() {
        for parameter in parameters { parameter.rounded?.round(parameter.weight) }
    }

    /// Every checkpoint tensor: its name, its shape and its place in the weights.
    var tensors: [(name: String, shape: [Int], values: Matrix)] { Self.tensors(parameters) }

    /// Those of them that are trained.
    var trainedTensors: [(name: String, shape: [Int], values: Matrix)] {
        Self.tensors(parameters.filter { !$0.isFrozen })
    }

    private static func tensors(_ parameters: [Parameter]) -> [(name: String, shape: [Int], values: Matrix)] {
        parameters.flatMap { parameter in
            parameter.parts.map { ($0.name, $0.shape, parameter.weight[rows: $0.rows]) }
        }
    }

    /// Every checkpoint tensor: its name, its shape and its range in the flat buffers, in their order.
    var ranges: [(name: String, shape: [Int], range: Range<Int>)] {
        guard let start = weights.baseAddress else { return [] }
        return tensors.map { name, shape, values in
            (name, shape, values.start - start..<values.start - start + values.count)
        }
    }

    /// The ranges in the flat buffers of the trained matrices that map features to features, in order, each from a
    /// multiple of 16 on.
    var hiddenRanges: [Range<Int>] {
        parameters.filter(\.isHidden).map { parameter in
            let first = parameter.weight.start - (weights.baseAddress ?? parameter.weight.start)
            return first..<first + (parameter.weight.count + 15) & ~15
        }
    }

    /// The checkpoint tensors of these matrices.
    var hiddenTensors: [(range: Range<Int>, rows: Int, columns: Int)] {
        zip(parameters.filter(\.isHidden), hiddenRanges).flatMap { parameter, range in
            let columns = parameter.weight.columns
            return parameter.parts.map { part in
                let first = range.lowerBound + part.rows.lowerBound * columns
                return (first..<first + part.rows.count * columns, part.rows.count, columns)
            }
        }
    }

    private func place(_ declaration: Declaration) -> Parameter {
        guard let weight = weights.baseAddress, let gradient = gradients.baseAddress else {
            preconditionFailure("a parameter in a store of none")
        }
        defer {
            used += declaration.capacity
            if !rounded.isEmpty { usedRounded += declaration.roundedCapacity }
        }
        var row = 0
        let parts = (declaration.isSaved ? declaration.parts : []).map { part in
            guard !declaration.isVector else {
                return Parameter.Part(name: part.name, rows: 0..<1, shape: [declaration.columns])
            }
            defer { row += part.rows }
            return Parameter.Part(
                name: part.name, rows: row..<row + part.rows, shape: [part.rows, declaration.columns])
        }
        return Parameter(
            parts: parts,
            weight: Matrix(start: weight + used, rows: declaration.rows, columns: declaration.columns, compute),
            gradient: declaration.isFrozen
                ? Matrix(start: gradient, rows: 0, columns: declaration.columns, compute)
                : Matrix(start: gradient + used, rows: declaration.rows, columns: declaration.columns, compute),
            rounded: rounded(declaration),
            isHidden: declaration.rows > 1 && !declaration.isFrozen && !declaration.isOfVocabulary)
    }

    private func rounded(_ declaration: Declaration) -> BFloat16Matrix? {
        guard !rounded.isEmpty, let start = rounded.baseAddress, !declaration.isVector else { return nil }
        let columns = declaration.columns
        return BFloat16Matrix(
            start: start + usedRounded, rows: declaration.rows, columns: columns,
            stride: BFloat16Matrix.stride(columns: columns))
    }
}

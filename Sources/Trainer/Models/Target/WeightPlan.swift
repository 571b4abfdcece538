import Glibc
import Shared
import Synchronization

/// What a rank will read: every tensor of a model is named, and its shape checked, before the first number is read.
///
/// Matrices are made at once and filled by `fill`, each from the part of a tensor that is this rank's.
final class WeightPlan {
    /// What of a model is read together.
    enum Portion {
        /// Embedding, final norm and head.
        case ends
        case layers
    }

    let memory: FrozenWeights
    /// The checkpoint's names.
    let spelling: TensorSpelling
    /// Nil where there are none: a model is laid out by its configuration alone.
    private let weights: WeightDirectory?
    private var named: Set<String> = []
    private var pieces: [Portion: [Piece]] = [:]
    private var changes: [Portion: [(change: Change, target: Matrix)]] = [:]
    /// What is planned belongs to it.
    private var portion = Portion.ends
    /// Whether what is packed in the files stays so.
    private let keepsPacked: Bool
    /// Numbers of weights that stay packed, and of those that are packed in the files and are unpacked.
    private(set) var packedCounts = (kept: 0, unpacked: 0)

    /// What becomes of elements once they have been read.
    private enum Change {
        case added(Float)
        case multiplied(Float)
        case logarithmOfNegative
    }

    /// How a tensor holds the matrix [out, in] that is wanted of it.
    enum Layout {
        /// [out, in]; a vector is one row of in.
        case matrix
        /// [rows, out], of one row: a vector.
        case row(Int)
        /// [experts, in, out], of one expert.
        case transposed(expert: Int)
    }

    /// Some output features of a tensor, which become neighbouring rows of a weight.
    struct Rows {
        let tensor: StoredTensor?
        var layout = Layout.matrix
        let outputs: [Int]
    }

    /// A part of a tensor and the matrix that it goes to.
    fileprivate struct Piece: @unchecked Sendable {
        let tensor: StoredTensor
        let layout: Layout
        let outputs: ArraySlice<Int>
        let inputs: Range<Int>
        let target: FrozenWeight
    }

    /// - Parameters:
    ///   - weights: Nil to lay a model out by its configuration alone, which can't be filled.
    ///   - keepsPacked: Whether what is packed in the files stays so in memory, where its blocks aren't cut.
    init(
        _ weights: WeightDirectory?, _ compute: Compute, spelling: TensorSpelling = [:], keepsPacked: Bool = true
    ) {
        self.weights = weights
        self.spelling = spelling
        self.keepsPacked = keepsPacked
        memory = FrozenWeights(compute, isLaidOut: true)
    }

    /// What will compute with the weights.
    var compute: Compute { memory.compute }

    /// A linear map's or an embedding's weight: rows of some tensors below each other, as packed as they are stored.
    ///
    /// - Parameters:
    ///   - inputs: The input features that are wanted of all of them.
    ///   - isCut: Whether products are of some of its rows by themselves, as an expert's.
    func weight(_ parts: [Rows], inputs: Range<Int>, isCut: Bool = false) -> FrozenWeight {
        let weight =
            packedWeight(parts, inputs)
            ?? memory.weight(
                rows: parts.reduce(0) { $0 + $1.outputs.count }, columns: inputs.count, isCut: isCut)
        var first = 0
        for part in parts {
            let range = first..<first + part.outputs.count
            read(part.tensor, part.layout, outputs: part.outputs, inputs: inputs, into: weight[rows: range])
            first = range.upperBound
        }
        return weight
    }

    /// Memory for rows as they are stored; nil if none of them is packed, or blocks would be cut.
    private func packedWeight(_ parts: [Rows], _ inputs: Range<Int>) -> FrozenWeight? {
        guard parts.contains(where: { $0.tensor?.isPacked ?? false }) else { return nil }
        let count = parts.reduce(0) { $0 + $1.outputs.count } * inputs.count
        let formats = parts.compactMap { part -> RowFormat? in
            guard case .matrix = part.layout else { return nil }
            return part.tensor?.format(columns: inputs)
        }
        guard keepsPacked, formats.count == parts.count, count > 0 else {
            packedCounts.unpacked += count
            return nil
        }
        packedCounts.kept += count
        return memory.packed(zip(parts, formats).map { ($0.outputs.count, $1) }, columns: inputs.count)
    }

    /// Memory for a weight whose rows are read one by one, of tensors that are unpacked for it.
    func weight(rows: Int, columns: Int, unpacking tensors: [StoredTensor?] = []) -> FrozenWeight {
        if tensors.contains(where: { $0?.isPacked ?? false }) { packedCounts.unpacked += rows * columns }
        return memory.weight(rows: rows, columns: columns)
    }

    /// Memory for a vector.
    func vector(_ count: Int) -> Matrix { memory.matrix(rows: 1, columns: count) }

    func contains(_ name: String) -> Bool { weights?.contains(spelling(name)) ?? false }

    /// The tensor of a name in Llama's spelling, which must have this shape, or the other one; nil where there are no
    /// weights.
    func tensor(_ name: String, _ shape: [Int], or other: [Int]? = nil) throws(WeightsError) -> StoredTensor? {
        guard let tensor = try named(name, shape) else { return nil }
        if tensor.shape != other { try tensor.expect(shape) }
        guard tensor.isFloatingPoint else {
            throw tensor.error("is of type \(tensor.type.rawValue), should be of floating point")
        }
        return tensor
    }

    /// The tensor that gpt-oss ships as `_blocks` and `_scales`.
    func mxfp4(_ name: String, _ shape: [Int]) throws(WeightsError) -> StoredTensor? {
        guard let blocks = try named("\(name)_blocks", shape), let scales = try named("\(name)_scales", shape) else {
            return nil
        }
        let tensor = try MXFP4Tensor.tensor(name, blocks: blocks, scales: scales)
        try tensor.expect(shape)
        return tensor
    }

    private func named(_ name: String, _ shape: [Int]) throws(WeightsError) -> StoredTensor? {
        guard let weights else { return nil }
        let name = spelling(name)
        named.insert(name)
        guard weights.contains(name) else {
            throw WeightsError(weights.source, tensor: name, "is missing, should be there in shape \(shape)")
        }
        return try weights.tensor(name)
    }

    /// What `body` plans belongs to the layers.
    func layers<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        portion = .layers
        defer { portion = .ends }
        return try body()
    }

    /// Plans to fill `target`, [outputs, inputs], from some output and input features of a tensor.
    func read(
        _ tensor: StoredTensor?, _ layout: Layout = .matrix, outputs: [Int], inputs: Range<Int>,
        into target: FrozenWeight
    ) {
        precondition(target.rows == outputs.count && target.columns == inputs.count)
        guard let tensor else { return }
        let size = 512
        for first in stride(from: 0, to: outputs.count, by: size) {
            let last = min(first + size, outputs.count)
            pieces[portion, default: []].append(
                Piece(
                    tensor: tensor, layout: layout, outputs: outputs[first..<last], inputs: inputs,
                    target: target[rows: first..<last]))
        }
    }

    /// Plans to fill a vector with some features of a vector, or of a row of many.
    func read(_ tensor: StoredTensor?, row: Int = 0, features: [Int], into target: Matrix) {
        precondition(target.columns == features.count)
        guard let tensor else { return }
        pieces[portion, default: []].append(
            Piece(tensor: tensor, layout: .row(row), outputs: features[...], inputs: 0..<1, target: .float32(target)))
    }

    /// Plans to add a number to every element, when it has been read.
    func add(_ offset: Float, to target: Matrix) {
        if offset != 0 { changes[portion, default: []].append((.added(offset), target)) }
    }

    /// Plans to multiply every element by a number, when it has been read.
    func multiply(_ target: Matrix, by factor: Float) {
        changes[portion, default: []].append((.multiplied(factor), target))
    }

    /// Plans to replace every element x by log(−x), when it has been read.
    func takeLogarithm(ofNegative target: Matrix) {
        changes[portion, default: []].append((.logarithmOfNegative, target))
    }

    /// Checks that all tensors have been named, apart from those to ignore.
    ///
    /// - Parameter isIgnored: Whether the checkpoint's tensor of a name is of no use to the model.
    func expectNoOthers(_ isIgnored: (String) -> Bool) throws(WeightsError) {
        guard let weights else { return }
        for name in weights.names where !named.contains(name) && !isIgnored(name) {
            let tensor = try weights.tensor(name)
            throw tensor.error("of shape \(tensor.shape) is no part of the model that config.json describes")
        }
    }

    /// Reads portions, in the order of the files, and lets go of their pages.
    ///
    /// Throws `WeightsError` if packed weights are damaged, and what `check` throws.
    ///
    /// Pages of a mapped file count as this process's memory while they are mapped, so that a rank would seem to need
    /// its weights twice.
    ///
    /// - Parameter check: Runs now and then on the calling thread, and may end it by throwing.
    func fill(_ portions: [Portion], check: () throws -> Void) throws {
        memory.makeWritable()
        let start = ContinuousClock.now
        let pieces = portions.flatMap { self.pieces[$0] ?? [] }.sorted { $0.tensor.precedes($1.tensor) }
        let isEnded = Atomic<Bool>(false)
        let failure = Mutex<(any Error)?>(nil)
        compute.forEach(pieces.count) { index, worker in
            guard !isEnded.load(ordering: .relaxed) else { return }
            do {
                try pieces[index].fill()
                pieces[index].release()
                if worker == 0 { try check() }
            } catch {
                failure.withLock { $0 = $0 ?? error }
                isEnded.store(true, ordering: .relaxed)
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        for (change, target) in portions.flatMap({ changes[$0] ?? [] }) {
            for row in 0..<target.rows {
                for column in 0..<target.columns {
                    switch change {
                    case .added(let offset): target[row, column] += offset
                    case .multiplied(let factor): target[row, column] *= factor
                    case .logarithmOfNegative: target[row, column] = logf(-target[row, column])
                    }
                }
            }
        }
        let (bytes, seconds) = (pieces.reduce(0) { $0 + $1.storedBytes }, (ContinuousClock.now - start).seconds)
        Log.line(
            "target: loaded \(fixed(bytes / 1e9, 2)) GB in \(fixed(seconds, 2)) s, "
                + "\(fixed(bytes / 1e9 / seconds, 2)) GB/s")
    }
}

extension WeightPlan.Piece {
    /// Bytes of the file that hold what is read.
    fileprivate var storedBytes: Double { Double(outputs.count * inputs.count) * tensor.bytesPerNumber }

    fileprivate func fill() throws(WeightsError) {
        switch layout {
        case .matrix: try target.read(tensor, rows: outputs, columns: inputs)
        case .row(let row): gather(row) { target.set($0, 0, $1) }
        case .transposed(let expert): fillTransposed(expert)
        }
    }

    /// Lets go of the pages of the rows that were read.
    fileprivate func release() {
        let (first, last) = (outputs.min() ?? 0, outputs.max() ?? 0)
        switch layout {
        case .matrix: tensor.release(rows: first..<last + 1)
        case .row(let row): tensor.release(rows: row..<row + 1)
        case .transposed(let expert):
            let rows = tensor.shape[1]
            tensor.release(rows: expert * rows..<(expert + 1) * rows)
        }
    }

    private func fillTransposed(_ expert: Int) {
        for (column, input) in inputs.enumerated() {
            gather(expert * tensor.shape[1] + input) { target.set($0, column, $1) }
        }
    }

    /// Reads the wanted outputs of a row of the tensor.
    private func gather(_ row: Int, _ put: (_ index: Int, _ value: Float) -> Void) {
        guard let least = outputs.min(), let most = outputs.max() else { return }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: most + 1 - least) { buffer in
            guard let start = buffer.baseAddress else { return }
            tensor.widen(row: row, columns: least..<most + 1, into: start)
            for (i, output) in outputs.enumerated() { put(i, start[output - least]) }
        }
    }
}

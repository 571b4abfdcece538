import Shared

/// A draft in a directory: a checkpoint of Eyrie's, or what another trainer published.
struct SavedDraft {
    let configuration: any DraftConfiguration
    /// By the names that `DraftModel` has.
    let weights: PublishedDraft
    /// The target's id of each draft id, ascending: [draftVocabSize].
    let draftToTarget: [Int32]
    /// The row of the stored head for each draft id; nil if they are in the same order.
    private let headRows: [Int]?

    static func configurationPath(_ directory: String) -> String { "\(directory)/config.json" }

    /// - Throws: `JSONError` or `WeightsError` for files that are missing, aren't of a draft that can be computed, or
    ///   don't fit the target.
    init(_ directory: String, target: ModelConfiguration, _ registry: DraftRegistry = .standard) throws {
        weights = try PublishedDraft(directory)
        configuration = try registry.configuration(
            JSONFile(Self.configurationPath(directory)), target: target, contents: weights.contents)
        let ids = try configuration.targetIDs(weights)
        let order = ids.indices.sorted { ids[$0] < ids[$1] }
        draftToTarget = order.map { ids[$0] }
        headRows = ids == draftToTarget ? nil : order
        for (index, id) in draftToTarget.enumerated().dropFirst() where draftToTarget[index - 1] == id {
            throw try weights.tensor("d2t").error("leads to the target's token \(id) twice, should do so once")
        }
    }

    /// Where a weight is stored, and the stored row of each of its rows; nil if they are in the same order.
    struct Source {
        let tensor: StoredTensor
        let rows: [Int]?

        /// Copies a row of `width` elements as float32.
        func copy(_ row: Int, width: Int, into target: UnsafeMutablePointer<Float>) throws(WeightsError) {
            let stored = rows?[row] ?? row
            try tensor.copy(rows: stored..<stored + 1, columns: 0..<width, into: target, stride: width)
            guard let column = (0..<width).first(where: { !target[$0].isFinite }) else { return }
            throw tensor.error("has \(target[column]) in row \(stored), column \(column), should be finite")
        }
    }

    /// Where each weight of the draft is stored, by name.
    ///
    /// A draft without a head of its own has the target's, as it is stored.
    ///
    /// - Parameters:
    ///   - tensors: The names and shapes of all weights.
    ///   - targetPath: The target, whose head is taken if there is none.
    /// - Throws: `WeightsError` that names the tensor that is missing, misshapen, or no part of the draft that its
    ///   configuration describes.
    func sources(
        _ tensors: [(name: String, shape: [Int])], targetPath: String
    ) throws -> [String: Source] {
        var sources: [String: Source] = [:]
        for (name, shape) in tensors {
            if name == Self.head, weights.tensors[name] == nil {
                let tensor = try Self.head(of: targetPath, weights)
                try tensor.expect([configuration.vocabSize, shape[1]])
                Log.line("\(weights.path) has no \(name): the draft has '\(tensor.name)' of \(tensor.path)")
                sources[name] = Source(tensor: tensor, rows: draftToTarget.map(Int.init))
            } else {
                let tensor = try weights.tensor(name)
                try tensor.expect(shape)
                sources[name] = Source(tensor: tensor, rows: name == Self.head ? headRows : nil)
            }
        }
        if let name = weights.tensors.keys.sorted().first(where: {
            sources[$0] == nil && !Self.ignoredTensors.contains($0) && !$0.hasSuffix("rotary_emb.inv_freq")
        }) {
            let tensor = try weights.tensor(name)
            throw tensor.error("of shape \(tensor.shape) is no part of the draft that config.json describes")
        }
        return sources
    }

    /// Reads every weight.
    func load(into parameters: ParameterStore, targetPath: String) throws {
        let tensors = parameters.tensors
        let sources = try sources(tensors.map { ($0.name, $0.shape) }, targetPath: targetPath)
        for (name, _, values) in tensors {
            guard let source = sources[name] else { continue }
            for row in 0..<values.rows {
                try source.copy(row, width: values.columns, into: values.row(row))
            }
        }
    }

    private static let head = "lm_head.weight"

    /// Tensors of drafts' checkpoints that aren't the draft's weights, besides tables of rotation: the vocabulary
    /// mapping, read by itself, and the target's embedding.
    private static let ignoredTensors: Set<String> = ["d2t", "t2d", PublishedDraft.embedding]

    /// The head that a draft without one shares: that of its own embedding, or the target's.
    private static func head(of targetPath: String, _ weights: PublishedDraft) throws -> StoredTensor {
        if weights.isTied, let embedding = weights.tensors[PublishedDraft.embedding] { return embedding }
        let target = try WeightDirectory(targetPath)
        for suffix in ["lm_head.weight", "embed_tokens.weight"].dropFirst(weights.isTied ? 1 : 0) {
            if let name = target.names.first(where: { $0.hasSuffix(suffix) }) { return try target.tensor(name) }
        }
        throw WeightsError(weights.path, tensor: "lm_head.weight", "is missing, and \(targetPath) has none either")
    }
}

extension DraftConfiguration {
    /// The target's id of each draft id, in the stored order, by a checkpoint's `d2t`; a draft of the whole vocabulary
    /// has none.
    ///
    /// `d2t` holds what is to be added to a draft id. Where that leaves the vocabulary, but its numbers are the ids that
    /// `t2d` marks, it holds the ids themselves.
    func targetIDs(_ file: PublishedDraft) throws(WeightsError) -> [Int32] {
        guard draftVocabSize < vocabSize || file.tensors["d2t"] != nil else {
            return (0..<Int32(vocabSize)).map { $0 }
        }
        let tensor = try file.tensor("d2t")
        try tensor.expect([draftVocabSize])
        let offsets = try tensor.integers()
        let marked = try file.tensors["t2d"]?.integers().enumerated().filter { $0.element != 0 }.map(\.offset)
        if let marked, offsets == marked, let last = marked.last, last < vocabSize {
            let added = zip(offsets.indices, offsets).map { $0.0 &+ $0.1 }
            if added.sorted() != marked { return marked.map { Int32($0) } }
        }
        var ids: [Int32] = []
        for (draftID, offset) in offsets.enumerated() {
            let (id, isTooLarge) = draftID.addingReportingOverflow(offset)
            guard !isTooLarge, 0..<vocabSize ~= id else {
                throw tensor.error(
                    "has \(offset) at index \(draftID), should lead to ids below vocab_size, \(vocabSize)")
            }
            ids.append(Int32(id))
        }
        return ids
    }
}

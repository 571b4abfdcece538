/// The frozen model that the draft imitates, one copy divided among the ranks of a tensor-parallel group.
///
/// Every rank of the group calls every function, in the same order, with the same rows; results are the same on all
/// of them unless said otherwise.
protocol DistributedTargetModel {
    var configuration: TargetShape { get }
    /// The ids whose logits this rank makes.
    var vocabulary: Range<Int> { get }
    var communicator: any Communicator { get }

    /// Writes the embedding of each id, as it is stored: [ids, hidden].
    func embed(_ ids: [Int32], into embedding: Matrix)

    /// Runs all layers over the embedding `x` of a batch, in place.
    ///
    /// - Parameters:
    ///   - x: [rows, hidden]: the embedding; on return the last layer's output after the final norm.
    ///   - rows: Whose rows they are, and what of the past they see.
    ///   - capture: Called with each layer's number and its input, [rows, hidden], before the layer runs; with the
    ///     number of layers and their output before the final norm at the end. What it throws ends the pass, on all
    ///     ranks of the group if they agree.
    func forward(
        _ x: Matrix, _ rows: DecoderRows, in workspace: Workspace,
        capture: (_ layer: Int, _ input: Matrix) throws -> Void
    ) rethrows

    /// Writes this rank's part of the logits of `hidden`, which is after the final norm: [rows, vocabulary.count].
    func logits(_ hidden: Matrix, into logits: Matrix)

    /// Writes the head's rows of `ids`, as they are stored: [ids, hidden].
    func headRows(_ ids: [Int32], into rows: Matrix)

    /// Writes what the head's rows are multiplied by besides, the final norm's weight and the logits' scale: [1, hidden].
    func headScale(into scale: Matrix)
}

/// The sizes of a target that others ask for.
struct TargetShape: Equatable, Sendable {
    let hiddenSize: Int
    let vocabSize: Int
    let numHiddenLayers: Int
}

/// The rows of a batch as attention sees them.
struct DecoderRows {
    /// Each row's token.
    let ids: [Int32]
    /// Each row's position in its sequence.
    let positions: [Int32]
    /// How many keys of its sequence each row sees, those of the past included.
    let visible: [Int32]
    /// Each sequence's rows.
    let sequences: [Range<Int>]
    /// The rows that are turned by the same tables: those of each sequence, or all.
    let turned: [Range<Int>]
    /// The longest that sequences of those rows get: themselves, or what their cache has room for.
    let lengths: [Int]
    /// The keys and values of rows before these; only for one sequence.
    let cache: KeyValueCache?
    /// Where the past of many sequences is.
    let paged: PagedRows?

    /// Whole sequences from their beginning.
    init(_ batch: Batch) {
        ids = batch.inputIDs
        positions = batch.positions
        visible = positions.map { $0 + 1 }
        sequences = (0..<batch.sequenceCount).map(batch.rows(of:))
        turned = sequences
        lengths = sequences.map(\.count)
        cache = nil
        paged = nil
    }

    /// Rows of these tokens that continue the sequence in `cache`.
    init(continuing cache: KeyValueCache, _ tokens: [Int32]) {
        self.init(continuing: cache, count: tokens.count, tokens)
    }

    /// `count` rows that continue the sequence in `cache`, for a model that doesn't ask which tokens they are.
    init(continuing cache: KeyValueCache, count: Int, _ tokens: [Int32] = []) {
        ids = tokens
        positions = (0..<count).map { Int32(cache.count + $0) }
        visible = positions.map { $0 + 1 }
        sequences = [0..<count]
        turned = sequences
        lengths = [cache.capacity]
        self.cache = cache
        paged = nil
    }

    /// Rows of these tokens that continue many sequences.
    ///
    /// - Parameter longest: The longest that any sequence may get.
    init(continuing rows: PagedRows, _ tokens: [Int32], longest: Int) {
        ids = tokens
        positions = rows.runs.flatMap { run in
            (0..<run.rows.count).map { Int32(run.position + $0) }
        }
        visible = []
        sequences = rows.runs.map(\.rows)
        turned = [0..<tokens.count]
        lengths = [longest]
        cache = nil
        paged = rows
    }
}

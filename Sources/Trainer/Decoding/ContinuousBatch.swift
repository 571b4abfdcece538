import Shared

/// The target, decoding many sequences at once: a record's place is taken by the next one as soon as it is answered, and
/// prompts are read in pieces beside the tokens of others (Yu and others 2022, Orca; Agrawal and others 2023).
///
/// What a record is answered with doesn't depend on any of it: rows are independent of each other
/// (`Compute.hasIndependentRows`), and so is attention. The ranks of a tensor-parallel group do the same in the same order.
final class ContinuousBatch {
    /// What memory and passes are made for.
    struct Size {
        /// Sequences at a time.
        var sequences: Int
        /// Rows of a pass, of prompts and answers together; at least as many as sequences.
        var rows: Int
        /// Pages of keys and values.
        var pages: Int
    }

    private let target: DecoderTargetModel
    private let size: Size
    private let limits: AnswerSequence.Limits
    private let cache: PagedCache
    private let workspace: Workspace
    private let samplers: [TokenSampler]
    private var waiting: ArraySlice<AnswerSequence.Record> = []
    private var active: [AnswerSequence] = []
    /// Rows that the target has run over, and tokens that were drawn.
    private(set) var (rows, tokens) = (0, 0)

    init(_ target: DecoderTargetModel, _ size: Size, _ limits: AnswerSequence.Limits, in workspace: Workspace) {
        precondition(workspace.compute.hasIndependentRows && size.rows >= size.sequences)
        (self.target, self.size, self.limits, self.workspace) = (target, size, limits, workspace)
        cache = PagedCache(
            target.cacheShape, slots: size.sequences, pages: size.pages, longest: limits.longest, workspace.compute)
        samplers = (0..<workspace.compute.threads).map { _ in TokenSampler(Sampling(limits.sampling)) }
    }

    /// Puts a record at the end of those that wait; its positions must fit the cache.
    func add(_ record: AnswerSequence.Record) { waiting.append(record) }

    var isIdle: Bool { waiting.isEmpty && active.isEmpty }
    var pagesInUse: Int { cache.pagesInUse }

    /// Runs the target once.
    ///
    /// - Returns: The records that are answered by it, or can't be.
    func step() -> [AnswerSequence] {
        admit()
        let (ids, continuations, drawing) = plan()
        guard !ids.isEmpty else { return [] }
        rows += ids.count
        tokens += drawing.count
        let drawn = workspace.scope { () -> [Int32] in
            let x = workspace.matrix(rows: ids.count, columns: target.configuration.hiddenSize)
            target.embed(ids, into: x)
            let rows = DecoderRows(continuing: PagedRows(cache, continuations), ids, longest: limits.longest)
            target.forward(x, rows, in: workspace) { _, _ in }
            return draw(x, drawing)
        }
        var finished: [AnswerSequence] = []
        for ((sequence, _), token) in zip(drawing, drawn) {
            if token < 0 ? sequence.fail() : sequence.add(token) {
                cache.close(sequence.slot)
                finished.append(sequence)
            } else if sequence.position == 0 {
                cache.clearStates(of: sequence.slot)
            }
        }
        if !finished.isEmpty { active.removeAll { sequence in finished.contains { $0 === sequence } } }
        return finished
    }

    private func admit() {
        while active.count < size.sequences, let record = waiting.first,
            let slot = cache.open(positions: record.positions(limits))
        {
            waiting.removeFirst()
            active.append(AnswerSequence(record, slot: slot, limits, canGoBack: !cache.hasStates))
        }
        precondition(!active.isEmpty || waiting.isEmpty, "a record that the empty cache has no room for")
    }

    /// Which tokens are run next, and the sequences that a token is drawn for, with their rows.
    private func plan() -> (
        ids: [Int32], continuations: [PagedRows.Continuation], drawing: [(sequence: AnswerSequence, row: Int32)]
    ) {
        var ids: [Int32] = []
        var continuations: [PagedRows.Continuation] = []
        var drawing: [(sequence: AnswerSequence, row: Int32)] = []
        ids.reserveCapacity(size.rows)
        continuations.reserveCapacity(active.count)
        drawing.reserveCapacity(active.count)
        func run(_ sequence: AnswerSequence, _ count: Int) {
            let rows = ids.count..<ids.count + count
            ids += sequence.pending.prefix(count)
            continuations.append(.init(slot: sequence.slot, rows: rows, position: sequence.position))
            if sequence.take(count) { drawing.append((sequence, Int32(rows.upperBound - 1))) }
        }
        // Answers go on before prompts are read.
        let prompts = active.filter { $0.pending.count > 1 }
        for sequence in active where sequence.pending.count == 1 { run(sequence, 1) }
        for sequence in prompts {
            let count = min(sequence.pending.count, size.rows - ids.count)
            if count > 0 { run(sequence, count) }
        }
        return (ids, continuations, drawing)
    }

    // MARK: - Drawing

    /// Sequences whose logits are in memory at a time.
    private static let drawnTogether = 256

    private func draw(_ hidden: Matrix, _ drawing: [(sequence: AnswerSequence, row: Int32)]) -> [Int32] {
        stride(from: 0, to: drawing.count, by: Self.drawnTogether).flatMap { first in
            drawSome(hidden, drawing[first..<min(first + Self.drawnTogether, drawing.count)])
        }
    }

    private func drawSome(
        _ hidden: Matrix, _ drawing: ArraySlice<(sequence: AnswerSequence, row: Int32)>
    ) -> [Int32] {
        workspace.scope {
            let (size, rank) = (target.communicator.size, target.communicator.rank)
            let last = workspace.matrix(rows: drawing.count, columns: hidden.columns)
            last.gather(drawing.map(\.row), from: hidden)
            let part = workspace.matrix(rows: drawing.count, columns: target.vocabulary.count)
            target.logits(last, into: part)
            // Each rank draws for some of the sequences.
            let own = shard(drawing.count, rank: rank, of: size)
            let logits = size == 1 ? part : collect(part, own)
            let tokens = workspace.zeros(rows: 1, columns: drawing.count)
            let first = drawing.startIndex
            workspace.compute.forEach(own.count) { index, worker in
                let row = own.lowerBound + index
                let sequence = drawing[first + row].sequence
                tokens[0, row] = Float(
                    samplers[worker].draw(
                        logits.row(index), logits.columns, seen: sequence.seen, uniform: sequence.uniform) ?? -1)
            }
            if size > 1 { target.communicator.allReduceSum(tokens) }
            return (0..<drawing.count).map { Int32(tokens[0, $0]) }
        }
    }

    /// The whole logits of this rank's sequences, of which each rank has a part.
    private func collect(_ part: Matrix, _ own: Range<Int>) -> Matrix {
        let communicator = target.communicator
        let vocabSize = target.configuration.vocabSize
        let widths = (0..<communicator.size).map { shard(vocabSize, rank: $0, of: communicator.size) }
        let received = workspace.matrix(rows: own.count, columns: vocabSize)
        communicator.allToAll(
            part.start,
            (0..<communicator.size).map { shard(part.rows, rank: $0, of: communicator.size).count * part.columns },
            into: received.start, widths.map { own.count * $0.count })
        let logits = workspace.matrix(rows: own.count, columns: vocabSize)
        var start = received.start
        for columns in widths {
            logits[columns: columns].copy(
                from: Matrix(start: start, rows: own.count, columns: columns.count, part.compute))
            start += own.count * columns.count
        }
        return logits
    }
}

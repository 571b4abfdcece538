import Glibc
import Shared

/// The target's distribution over the draft vocabulary, for the rows that a piece of a batch learns from.
///
/// Whole rows of logits never leave a rank: each rank makes its part of the vocabulary, ranks exchange each row's
/// maximum, its place and the sum of exponentials, and then send each other only the draft vocabulary's columns, each
/// to the rank whose rows they are.
struct CompactTeacher {
    let target: any DistributedTargetModel
    let draftVocabSize: Int
    /// For each rank, how many columns of the draft vocabulary its part holds; they are neighbours, as both
    /// vocabularies ascend.
    private let columnCounts: [Int]
    /// This rank's draft columns, counted from the beginning of its part.
    private let columns: [Int32]
    /// The draft id of each target id; -1 if it has none.
    let targetToDraft: [Int32]

    /// What rows learn from.
    struct Distributions {
        /// [rows, draftVocabSize]: the target's probabilities, renormalised over the draft vocabulary.
        let probabilities: Matrix
        /// The share of probability that the draft vocabulary has of each row's.
        let coverage: [Float]
        /// The draft id of each row's most likely token of the whole vocabulary; -1 if the draft doesn't know it.
        let argmax: [Int32]
    }

    /// - Parameter draftToTarget: The target id of each draft id, ascending.
    init(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {
        self.target = target
        draftVocabSize = draftToTarget.count
        let (vocabSize, size) = (target.configuration.vocabSize, target.communicator.size)
        columnCounts = (0..<size).map { rank in
            let part = shard(vocabSize, rank: rank, of: size)
            return draftToTarget.count { part.contains(Int($0)) }
        }
        columns = draftToTarget.filter { target.vocabulary.contains(Int($0)) }.map {
            $0 - Int32(target.vocabulary.lowerBound)
        }
        var targetToDraft = [Int32](repeating: -1, count: vocabSize)
        for (draft, target) in draftToTarget.enumerated() { targetToDraft[Int(target)] = Int32(draft) }
        self.targetToDraft = targetToDraft
    }

    /// The distributions after `rows[rank]`, for this rank.
    ///
    /// - Parameters:
    ///   - hidden: This rank's rows after the final norm, [rows, hidden].
    ///   - rows: For each rank of the group, the rows of its `hidden` that it learns from; -1 stands for logits of zero.
    func distributions(
        _ hidden: Matrix, rows: [[Int32]], in workspace: Workspace
    ) -> Distributions {
        Profile.measure(.target) {
            makeDistributions(hidden, rows: rows, in: workspace)
        }
    }

    private func makeDistributions(
        _ hidden: Matrix, rows: [[Int32]], in workspace: Workspace
    ) -> Distributions {
        let rank = target.communicator.rank
        let own = rows[rank].count
        let before = rows[..<rank].reduce(0) { $0 + $1.count }
        let probabilities = workspace.matrix(rows: own, columns: draftVocabSize)
        var (coverage, argmax): ([Float], [Int32]) = ([], [])
        workspace.scope {
            let logits = logits(hidden, rows, in: workspace)
            let whole = statistics(logits, before..<before + own, in: workspace)
            exchange(logits, rows.map(\.count), into: probabilities, in: workspace)
            let draft = workspace.matrix(rows: 1, columns: own)
            workspace.compute.forEach(own) { row, _ in
                draft[0, row] = DistillationLoss.softmax(probabilities.row(row), draftVocabSize)
            }
            coverage = (0..<own).map { min(1, expf(draft[0, $0] - whole[$0].logSumExp)) }
            argmax = whole.map { targetToDraft[$0.argmax] }
        }
        return Distributions(probabilities: probabilities, coverage: coverage, argmax: argmax)
    }

    /// This rank's part of the logits of all ranks' rows.
    private func logits(_ hidden: Matrix, _ rows: [[Int32]], in workspace: Workspace) -> Matrix {
        let joined = rows.flatMap { $0 }
        let logits = workspace.matrix(rows: joined.count, columns: target.vocabulary.count)
        workspace.scope { target.logits(gathered(hidden, rows, in: workspace), into: logits) }
        for (row, index) in joined.enumerated() where index < 0 { logits[rows: row..<row + 1].fill(0) }
        return logits
    }

    /// The hidden states of all ranks' rows, of which each rank has its own.
    private func gathered(_ hidden: Matrix, _ rows: [[Int32]], in workspace: Workspace) -> Matrix {
        let (communicator, counts) = (target.communicator, rows.map(\.count))
        let most = counts.max() ?? 0
        let own = workspace.matrix(rows: most, columns: hidden.columns)
        own[rows: 0..<counts[communicator.rank]]
            .gather(rows[communicator.rank].map { Swift.max(0, $0) }, from: hidden)
        guard communicator.size > 1 else { return own }
        let all = workspace.matrix(rows: communicator.size * most, columns: hidden.columns)
        communicator.allGather(
            UnsafeBufferPointer(start: own.start, count: own.count),
            into: UnsafeMutableBufferPointer(start: all.start, count: all.count))
        guard counts.contains(where: { $0 < most }) else { return all }
        let joined = workspace.matrix(rows: counts.reduce(0, +), columns: hidden.columns)
        joined.gather(
            counts.enumerated().flatMap { rank, count in (0..<count).map { Int32(rank * most + $0) } }, from: all)
        return joined
    }

    /// Log-sum-exp and argmax over the whole vocabulary, of this rank's rows.
    private func statistics(
        _ logits: Matrix, _ own: Range<Int>, in workspace: Workspace
    ) -> [(logSumExp: Float, argmax: Int)] {
        let (size, count) = (target.communicator.size, logits.rows * 3)
        let part = workspace.matrix(rows: logits.rows, columns: 3)
        let all = workspace.matrix(rows: size * logits.rows, columns: 3)
        logits.compute.forEach(logits.rows) { row, _ in
            let index = indexOfMaximum(logits.row(row), logits.columns)
            part[row, 0] = logits[row, index]
            part[row, 1] = Float(index + target.vocabulary.lowerBound)
            part[row, 2] = DistillationLoss.logSumExp(logits.row(row), logits.columns).sum
        }
        target.communicator.allGather(
            UnsafeBufferPointer(start: part.start, count: count),
            into: UnsafeMutableBufferPointer(start: all.start, count: size * count))
        return own.map { row in
            let parts = (0..<size).map { all.row($0 * logits.rows + row) }
            var best = parts[0]
            for part in parts.dropFirst() where part[0] > best[0] { best = part }
            let sum = parts.reduce(Float(0)) { $0 + $1[2] * expf($1[0] - best[0]) }
            return (best[0] + logf(sum), Int(best[1]))
        }
    }

    /// Sends each rank the draft columns of its rows, and puts together this rank's own.
    private func exchange(
        _ logits: Matrix, _ rowCounts: [Int], into own: Matrix, in workspace: Workspace
    ) {
        guard target.communicator.size > 1 else { return copyColumns(logits, into: own) }
        let send = workspace.matrix(rows: logits.rows, columns: columns.count)
        let receive = workspace.matrix(rows: own.rows, columns: draftVocabSize)
        copyColumns(logits, into: send)
        target.communicator.allToAll(
            send.start, rowCounts.map { $0 * columns.count }, into: receive.start, columnCounts.map { $0 * own.rows })
        var (offset, firstColumn) = (0, 0)
        for count in columnCounts {
            let part = Matrix(start: receive.start + offset, rows: own.rows, columns: count, receive.compute)
            own[columns: firstColumn..<firstColumn + count].copy(from: part)
            offset += own.rows * count
            firstColumn += count
        }
    }

    /// Copies this rank's draft columns of its part of the logits.
    private func copyColumns(_ logits: Matrix, into draft: Matrix) {
        logits.compute.forEach(logits.rows) { row, _ in
            let (from, to) = (logits.row(row), draft.row(row))
            for (i, column) in columns.enumerated() { to[i] = from[Int(column)] }
        }
    }
}

import Shared

/// What the draft learns from of the target: computed for a group's sequences together, or read from a cache.
///
/// The ranks of a tensor-parallel group compute each other's sequences, a few thousand rows at a time, and each keeps
/// what is its own: no rank has all of the group's rows at once. With a cache, what isn't in it is computed a sequence at
/// a time, so that a sequence's features are the same whichever others stand beside it; each rank reads and keeps its
/// own sequences.
struct TargetFeatures {
    let target: any DistributedTargetModel
    /// The layers whose outputs the draft sees.
    let targetLayers: [Int]
    /// Tokens whose embeddings are returned too, after each sequence.
    var appendedTokens: [Int32] = []
    /// Where features are kept; nil to compute them each time.
    let cache: TargetCache?
    /// Sequences of several ranks are computed together up to this number of rows: more make products no faster.
    var mostRows = Self.mostRows

    static let mostRows = 4096

    /// - Parameter sequences: For each rank of the tensor-parallel group, its own.
    /// - Returns: Of this rank's rows the features, the embedding with that of `appendedTokens` after each sequence, and
    ///   the last hidden state after the final norm.
    func run(
        _ sequences: [[TrainingSequence]], in workspace: Workspace
    ) -> (auxiliary: Matrix, embedding: Matrix, hidden: Matrix) {
        let group = Group(
            sequences.map { $0.map(\.sample) }, appended: appendedTokens.count, rank: target.communicator.rank)
        let h = target.configuration.hiddenSize
        let rows = group.ownRows.count
        let own = Own(
            group: group, hidden: workspace.matrix(rows: rows, columns: h),
            auxiliary: workspace.matrix(rows: rows, columns: targetLayers.count * h),
            embedding: workspace.matrix(rows: rows + group.own.count * appendedTokens.count, columns: h))
        if let cache {
            let isMissing = missing(own, in: cache)
            for sequence in group.samples.indices {
                compute(sequence..<sequence + 1, own, runsLayers: isMissing[sequence], in: workspace)
                guard isMissing[sequence], group.own.contains(sequence) else { continue }
                cache.round(own.last(sequence))
                cache.round(own.auxiliary(sequence))
                Profile.measure(.data) {
                    cache.write(group.samples[sequence], auxiliary: own.auxiliary(sequence), last: own.last(sequence))
                }
            }
        } else {
            for sequences in group.together(mostRows) { compute(sequences, own, runsLayers: true, in: workspace) }
        }
        return (own.auxiliary, own.embedding, own.hidden)
    }

    /// Reads what the cache has of this rank's sequences.
    ///
    /// - Returns: For each sequence of the group whether it isn't there, the same on all ranks.
    private func missing(_ own: Own, in cache: TargetCache) -> [Bool] {
        let group = own.group
        let found = Profile.measure(.data) {
            group.samples.indices.map { sequence in
                group.own.contains(sequence)
                    && cache.read(
                        group.samples[sequence], auxiliary: own.auxiliary(sequence), last: own.last(sequence))
            }
        }
        return target.communicator.sum(found.map { $0 ? 1 : 0 }).map { $0 == 0 }
    }

    /// Embeds neighbouring sequences of the group and runs the target over them, or doesn't where that isn't needed.
    private func compute(_ sequences: Range<Int>, _ own: Own, runsLayers: Bool, in workspace: Workspace) {
        let (batch, h) = (Batch(Array(own.group.samples[sequences])), own.hidden.columns)
        let part = own.part(of: sequences)
        // What is all this rank's own is computed where it goes to.
        let whole = part.flatMap { $0.rows.from.count == batch.rows ? $0 : nil }
        workspace.scope {
            let extended = own.group.samples[sequences].flatMap { $0.inputIDs + appendedTokens }
            let embedding =
                whole.map { own.embedding[rows: $0.extended.to] } ?? workspace.matrix(rows: extended.count, columns: h)
            target.embed(extended, into: embedding)
            if let part, whole == nil {
                own.embedding[rows: part.extended.to].copy(from: embedding[rows: part.extended.from])
            }
            guard runsLayers else { return }
            let x = whole.map { own.hidden[rows: $0.rows.to] } ?? workspace.matrix(rows: batch.rows, columns: h)
            x.gather(
                (0..<batch.sequenceCount).flatMap { sequence in
                    batch.rows(of: sequence).map { Int32($0 + sequence * appendedTokens.count) }
                }, from: embedding)
            target.forward(x, DecoderRows(batch), in: workspace) { layer, input in
                guard let part else { return }
                for (i, wanted) in targetLayers.enumerated() where wanted + 1 == layer {
                    own.auxiliary[rows: part.rows.to][columns: i * h..<(i + 1) * h]
                        .copy(from: input[rows: part.rows.from])
                }
            }
            if let part, whole == nil { own.hidden[rows: part.rows.to].copy(from: x[rows: part.rows.from]) }
        }
    }
}

extension TargetFeatures {
    /// How many rows are computed at a time, where each rank of a group has as many.
    static func rowsTogether(_ rows: Int, tpSize: Int) -> Int { min(tpSize, max(1, mostRows / max(1, rows))) * rows }

    /// The sequences of a tensor-parallel group, concatenated by rank.
    private struct Group {
        let samples: [Sample]
        /// Where each sequence begins, and at the end the number of rows.
        let starts: [Int]
        /// For each rank, its sequences.
        let parts: [Range<Int>]
        /// Tokens after each sequence, of which there is an embedding alone.
        let appended: Int
        /// This rank's sequences, and their rows.
        let own: Range<Int>
        let ownRows: Range<Int>

        init(_ samples: [[Sample]], appended: Int, rank: Int) {
            self.appended = appended
            self.samples = samples.flatMap { $0 }
            starts = self.samples.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.inputIDs.count) }
            parts = samples.indices.map { rank in
                let first = samples[..<rank].reduce(0) { $0 + $1.count }
                return first..<first + samples[rank].count
            }
            own = parts[rank]
            ownRows = starts[own.lowerBound]..<starts[own.upperBound]
        }

        /// Sequences that are computed together: those of a rank, and of its neighbours as long as they are few.
        func together(_ mostRows: Int) -> [Range<Int>] {
            parts.filter { !$0.isEmpty }.reduce(into: []) { all, part in
                if let last = all.last, starts[part.upperBound] - starts[last.lowerBound] <= mostRows {
                    all[all.count - 1] = last.lowerBound..<part.upperBound
                } else {
                    all.append(part)
                }
            }
        }
    }

    /// Where a rank's features are put.
    private struct Own {
        let group: Group
        /// [this rank's rows, hidden].
        let hidden: Matrix
        /// [this rank's rows, layers · hidden].
        let auxiliary: Matrix
        /// [this rank's rows and what is appended to its sequences, hidden].
        let embedding: Matrix

        /// The last hidden state of a sequence of this rank.
        func last(_ sequence: Int) -> Matrix { hidden[rows: rows(sequence..<sequence + 1)] }

        func auxiliary(_ sequence: Int) -> Matrix { auxiliary[rows: rows(sequence..<sequence + 1)] }

        /// The rows of this rank's matrices that are of some of its sequences.
        private func rows(_ sequences: Range<Int>) -> Range<Int> {
            group.starts[sequences.lowerBound] - group.ownRows.lowerBound..<group.starts[sequences.upperBound]
                - group.ownRows.lowerBound
        }

        /// Where this rank's sequences stand among some of the group's, and where they go to; nil if there are none.
        func part(of sequences: Range<Int>) -> Part? {
            let common = sequences.clamped(to: group.own)
            guard !common.isEmpty else { return nil }
            let first = group.starts[common.lowerBound] - group.starts[sequences.lowerBound]
            let rows = rows(common)
            let (before, ownBefore) = (
                (common.lowerBound - sequences.lowerBound) * group.appended,
                (common.lowerBound - group.own.lowerBound) * group.appended
            )
            let extendedCount = rows.count + common.count * group.appended
            return Part(
                rows: (first..<first + rows.count, rows),
                extended: (
                    first + before..<first + before + extendedCount,
                    rows.lowerBound + ownBefore..<rows.lowerBound + ownBefore + extendedCount
                ))
        }
    }

    /// Rows of what was computed, and the rows that they go to.
    private struct Part {
        let rows: (from: Range<Int>, to: Range<Int>)
        let extended: (from: Range<Int>, to: Range<Int>)
    }
}

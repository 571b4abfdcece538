import Shared

/// What the draft learns from of the target: computed for a group's sequences together, or read from a cache.
///
/// With a cache, what isn't in it is computed a sequence at a time, so that a sequence's features are the same
/// whichever others stand beside it. Each rank reads and keeps its own sequences.
struct TargetFeatures {
    let target: any DistributedTargetModel
    /// The layers whose outputs the draft sees.
    let targetLayers: [Int]
    /// Tokens whose embeddings are returned too, after each sequence.
    var appendedTokens: [Int32] = []
    /// Where features are kept; nil to compute them each time.
    let cache: TargetCache?

    /// - Parameter sequences: For each rank of the tensor-parallel group, its own.
    /// - Returns: Of this rank's rows the features and the embedding, with that of `appendedTokens` after each sequence;
    ///   and the last hidden state of the group's rows, after the final norm.
    func run(
        _ sequences: [[TrainingSequence]], in workspace: Workspace
    ) -> (auxiliary: Matrix, embedding: Matrix, hidden: Matrix) {
        let group = Group(sequences.map { $0.map(\.sample) }, rank: target.communicator.rank)
        let h = target.configuration.hiddenSize
        let extended = group.samples.flatMap { $0.inputIDs + appendedTokens }
        let embedding = workspace.matrix(rows: extended.count, columns: h)
        target.embed(extended, into: embedding)
        let places = Places(
            group: group, hidden: workspace.matrix(rows: group.batch.rows, columns: h),
            auxiliary: workspace.matrix(rows: group.ownRows.count, columns: targetLayers.count * h))
        if let cache {
            for sequence in missing(places, in: cache) {
                workspace.scope { compute(sequence..<sequence + 1, places, embedding, in: workspace) }
                cache.round(places.last(sequence))
                guard group.own.contains(sequence) else { continue }
                cache.round(places.auxiliary(sequence))
                Profile.measure(.data) {
                    cache.write(
                        group.samples[sequence], auxiliary: places.auxiliary(sequence), last: places.last(sequence))
                }
            }
        } else {
            workspace.scope { compute(group.samples.indices, places, embedding, in: workspace) }
        }
        let firstExtended = group.ownRows.lowerBound + group.own.lowerBound * appendedTokens.count
        let ownCount = group.ownRows.count + group.own.count * appendedTokens.count
        return (places.auxiliary, embedding[rows: firstExtended..<firstExtended + ownCount], places.hidden)
    }

    /// Reads what the cache has of this rank's sequences, and gets the last hidden state of the others' from them.
    ///
    /// - Returns: The sequences of the group that aren't there, the same on all ranks.
    private func missing(_ places: Places, in cache: TargetCache) -> [Int] {
        let (group, communicator) = (places.group, target.communicator)
        let found = Profile.measure(.data) {
            group.samples.indices.map { sequence in
                group.own.contains(sequence)
                    && cache.read(
                        group.samples[sequence], auxiliary: places.auxiliary(sequence), last: places.last(sequence))
            }
        }
        let isThere = communicator.sum(found.map { $0 ? 1 : 0 })
        if isThere.contains(1) {
            for sequence in found.indices where !found[sequence] { places.last(sequence).fill(0) }
            communicator.allReduceSum(places.hidden)
        }
        return isThere.indices.filter { isThere[$0] == 0 }
    }

    /// Runs the target over neighbouring sequences of the group.
    private func compute(
        _ sequences: Range<Int>, _ places: Places, _ embedding: Matrix, in workspace: Workspace
    ) {
        let (group, h) = (places.group, places.hidden.columns)
        let rows = group.batch.starts[sequences.lowerBound]..<group.batch.starts[sequences.upperBound]
        let own = rows.clamped(to: group.ownRows)
        let x = places.hidden[rows: rows]
        x.gather(
            sequences.flatMap { sequence in
                group.batch.rows(of: sequence).map { Int32($0 + sequence * appendedTokens.count) }
            },
            from: embedding)
        target.forward(x, DecoderRows(Batch(Array(group.samples[sequences]))), in: workspace) { layer, input in
            guard !own.isEmpty else { return }
            for (i, wanted) in targetLayers.enumerated() where wanted + 1 == layer {
                places.auxiliary[rows: own.moved(by: -group.ownRows.lowerBound)][columns: i * h..<(i + 1) * h]
                    .copy(from: input[rows: own.moved(by: -rows.lowerBound)])
            }
        }
    }
}

extension TargetFeatures {
    /// The sequences of a tensor-parallel group, concatenated by rank.
    private struct Group {
        let samples: [Sample]
        let batch: Batch
        /// This rank's sequences, and their rows.
        let own: Range<Int>
        let ownRows: Range<Int>

        init(_ parts: [[Sample]], rank: Int) {
            samples = parts.flatMap { $0 }
            batch = Batch(samples)
            let first = parts[..<rank].reduce(0) { $0 + $1.count }
            own = first..<first + parts[rank].count
            ownRows = batch.starts[own.lowerBound]..<batch.starts[own.upperBound]
        }
    }

    /// Where a group's features are put.
    private struct Places {
        let group: Group
        /// [the group's rows, hidden].
        let hidden: Matrix
        /// [this rank's rows, layers · hidden].
        let auxiliary: Matrix

        func last(_ sequence: Int) -> Matrix { hidden[rows: group.batch.rows(of: sequence)] }

        /// Of a sequence of this rank.
        func auxiliary(_ sequence: Int) -> Matrix {
            auxiliary[rows: group.batch.rows(of: sequence).moved(by: -group.ownRows.lowerBound)]
        }
    }
}

extension Range<Int> {
    fileprivate func moved(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}

/// What mixes rows by a state that goes from each to the next, instead of by looking at all of them: short convolution,
/// the gated delta rule and Mamba-2.
///
/// A rank has some heads, or channels, of the state. Products with the rows make `inputs`; a scan over them in the order
/// of rows makes the output and the state; what comes after, gates and norms, is of each row alone.
protocol RecurrentMixer {
    /// Columns of what is made of a row before the scan: all that the state depends on, and gates.
    var inputs: ColumnParallelLinear { get }
    /// Columns of what the scan makes.
    var outputWidth: Int { get }
    /// Numbers of the state.
    var stateCount: Int { get }
    var output: RowParallelLinear { get }

    /// Goes over the rows of one sequence.
    ///
    /// - Parameters:
    ///   - state: [1, stateCount]: before the first row; on return after the last. All zero before a sequence.
    ///   - output: [rows, outputWidth].
    func scan(_ inputs: Matrix, state: Matrix, into output: Matrix, in workspace: Workspace)

    /// Gates and norms of the scan's output, in place.
    func finish(_ output: Matrix, _ inputs: Matrix, in workspace: Workspace)
}

extension RecurrentMixer {
    /// y += this rank's part of what becomes of x.
    func addPart(_ x: Matrix, to y: Matrix, _ pass: DecoderPass, layer: Int, in workspace: Workspace) {
        workspace.scope {
            let inputs = workspace.matrix(rows: x.rows, columns: self.inputs.weight.rows)
            self.inputs.forward(x, into: inputs)
            let result = workspace.matrix(rows: x.rows, columns: outputWidth)
            for (index, range) in pass.rows.sequences.enumerated() {
                let (rows, target) = (inputs[rows: range], result[rows: range])
                if let cache = pass.rows.cache, let states = cache.states[layer] {
                    states.scan(rows, from: cache.count, by: self, into: target, in: workspace)
                } else if let paged = pass.rows.paged,
                    let state = paged.cache.state(paged.slots[index], layer: layer)
                {
                    scan(rows, state: state, into: target, in: workspace)
                } else {
                    scan(rows, state: workspace.zeros(rows: 1, columns: stateCount), into: target, in: workspace)
                }
            }
            finish(result, inputs, in: workspace)
            output.addPart(result, to: y)
        }
    }
}

/// The state of a layer's `RecurrentMixer` along one sequence, which can go back by as many rows as the last run had.
///
/// The state before the last run is kept, and that run's inputs: rows that were not accepted are forgotten by scanning
/// those that were once more. A run of more rows than a verification has can't be taken back.
final class RecurrentState {
    private var before: Matrix
    private var after: Matrix
    /// The last run's inputs.
    private let inputs: Matrix
    /// Rows that `before` and `after` have seen.
    private var (start, end) = (0, 0)
    private let memory: FrozenWeights

    init(_ mixer: any RecurrentMixer, _ compute: Compute) {
        memory = FrozenWeights(compute)
        before = memory.matrix(rows: 1, columns: mixer.stateCount)
        after = memory.matrix(rows: 1, columns: mixer.stateCount)
        inputs = memory.matrix(rows: FewRows.most, columns: mixer.inputs.weight.rows)
    }

    /// Whether the sequence may be continued after `count` rows.
    func reaches(_ count: Int) -> Bool { count == 0 || start...end ~= count }

    /// Continues a sequence of `count` rows.
    func scan(
        _ rows: Matrix, from count: Int, by mixer: some RecurrentMixer, into output: Matrix, in workspace: Workspace
    ) {
        goBack(to: count, mixer, in: workspace)
        after.copy(from: before)
        mixer.scan(rows, state: after, into: output, in: workspace)
        end = start + rows.rows
        if rows.rows <= inputs.rows {
            inputs[rows: 0..<rows.rows].copy(from: rows)
        } else {
            swap(&before, &after)
            start = end
        }
    }

    /// Makes `before` the state after `count` rows.
    private func goBack(to count: Int, _ mixer: some RecurrentMixer, in workspace: Workspace) {
        precondition(reaches(count))
        if count == 0 {
            before.fill(0)
        } else if count == end, count > start {
            swap(&before, &after)
        } else if count > start {
            workspace.scope {
                let again = inputs[rows: 0..<count - start]
                let output = workspace.matrix(rows: again.rows, columns: mixer.outputWidth)
                mixer.scan(again, state: before, into: output, in: workspace)
            }
        }
        (start, end) = (count, count)
    }
}

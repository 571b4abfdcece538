/// One layer of a decoder: this rank's part of what mixes rows and of what works on each.
struct DecoderLayer {
    let mixer: Mixer
    let feedForward: FeedForward
    let mixerNorms: Norms
    let feedForwardNorms: Norms
    /// Whether both parts see the same rows, and are added at once.
    let isParallel: Bool
    /// What a part's output is multiplied by before it is added.
    let residualScale: Float
    let perLayerInput: PerLayerInput?
    /// [1, 1]: what the layer's output is multiplied by; nil for 1.
    let outputScale: Matrix?
    let communicator: any Communicator

    enum Mixer {
        case none
        case attention(DecoderAttention)
        case latent(LatentAttention)
        case recurrent(any RecurrentMixer)
    }

    enum FeedForward {
        case none
        case dense(GatedMLP)
        case experts(MixtureOfExperts)
        case both(DenseAndExperts)
    }

    /// The norm of a part's input, and the one of its output before that is added; nil for none.
    struct Norms {
        let input: FrozenNorm?
        let output: FrozenNorm?
    }

    /// x becomes the layer's output.
    func forward(_ x: Matrix, _ pass: DecoderPass, layer: Int, in workspace: Workspace) {
        if isParallel {
            add(mixerNorms, to: x, in: workspace) { normalized, y in
                mix(normalized, to: y, pass, layer, in: workspace)
                feed(normalized, to: y, in: workspace)
            }
        } else {
            if case .none = mixer {
            } else {
                add(mixerNorms, to: x, in: workspace) { mix($0, to: $1, pass, layer, in: workspace) }
            }
            switch feedForward {
            case .none: break
            case .both(let both): add(both, to: x, in: workspace)
            default: add(feedForwardNorms, to: x, in: workspace) { feed($0, to: $1, in: workspace) }
            }
        }
        if let perLayerInput, let inputs = pass.perLayerInputs(layer) {
            perLayerInput.add(inputs, to: x, in: workspace)
        }
        if let outputScale { for row in 0..<x.rows { x.scale(row: row, by: outputScale[0, 0]) } }
    }

    private func mix(
        _ x: Matrix, to y: Matrix, _ pass: DecoderPass, _ layer: Int, in workspace: Workspace
    ) {
        switch mixer {
        case .none: break
        case .attention(let attention): attention.addPart(x, to: y, pass, layer: layer, in: workspace)
        case .latent(let attention): attention.addPart(x, to: y, pass, layer: layer, in: workspace)
        case .recurrent(let mixer): mixer.addPart(x, to: y, pass, layer: layer, in: workspace)
        }
    }

    private func feed(_ x: Matrix, to y: Matrix, in workspace: Workspace) {
        switch feedForward {
        case .none, .both: break
        case .dense(let mlp): mlp.addPart(x, to: y, in: workspace)
        case .experts(let mixture): mixture.addPart(x, to: y, in: workspace)
        }
    }

    /// x += what `part` makes of the normalised x: one of the layer's two all-reduces.
    ///
    /// - Parameter part: Adds this rank's part of the result for its first argument to its second.
    private func add(
        _ norms: Norms, to x: Matrix, in workspace: Workspace, _ part: (_ normalized: Matrix, _ y: Matrix) -> Void
    ) {
        workspace.scope {
            var normalized = x
            if let norm = norms.input {
                normalized = workspace.matrix(rows: x.rows, columns: x.columns)
                norm.forward(x, into: normalized)
                if norms.output == nil, residualScale == 1 {
                    // Rank 0's part begins with x itself, so that it counts once.
                    if communicator.rank > 0 { x.fill(0) }
                    part(normalized, x)
                    return communicator.allReduceSum(x)
                }
            }
            let y = workspace.zeros(rows: x.rows, columns: x.columns)
            part(normalized, y)
            communicator.allReduceSum(y)
            norms.output?.forward(y, into: y)
            for row in 0..<x.rows { Trainer.add(residualScale, y.row(row), to: x.row(row), x.columns) }
        }
    }

    /// As `add`, of a network and experts whose outputs have norms of their own: both are summed over the ranks at once.
    private func add(_ both: DenseAndExperts, to x: Matrix, in workspace: Workspace) {
        workspace.scope {
            let sums = workspace.zeros(rows: 2 * x.rows, columns: x.columns)
            let (y, ofExperts) = (sums[rows: 0..<x.rows], sums[rows: x.rows..<sums.rows])
            workspace.scope {
                let normalized = workspace.matrix(rows: x.rows, columns: x.columns)
                feedForwardNorms.input?.forward(x, into: normalized)
                both.mlp.addPart(normalized, to: y, in: workspace)
                both.expertInputNorm.forward(x, into: normalized)
                let routed = workspace.matrix(rows: x.rows, columns: x.columns)
                both.routerNorm.forward(x, into: routed)
                both.mixture.addPart(normalized, routedBy: routed, to: ofExperts, in: workspace)
            }
            communicator.allReduceSum(sums)
            both.outputNorm.forward(y, into: y)
            both.expertOutputNorm.forward(ofExperts, into: ofExperts)
            y.add(ofExperts)
            feedForwardNorms.output?.forward(y, into: y)
            x.add(y)
        }
    }
}

/// A feed-forward network beside experts, of the same rows (Gemma 4).
struct DenseAndExperts {
    let mlp: GatedMLP
    let mixture: MixtureOfExperts
    /// Of what the network gives.
    let outputNorm: FrozenNorm
    /// Of what experts and their router see, and of what experts give.
    let expertInputNorm: FrozenNorm
    let routerNorm: FrozenNorm
    let expertOutputNorm: FrozenNorm
}

/// What a token's embedding for this layer adds to its output (Gemma 4): every rank makes all of it, as it is small.
///
///     x += norm(projection (gelu(gate x) input))
struct PerLayerInput {
    let gate: ColumnParallelLinear
    let projection: ColumnParallelLinear
    let norm: FrozenNorm

    /// - Parameter inputs: [rows, size].
    func add(_ inputs: Matrix, to x: Matrix, in workspace: Workspace) {
        workspace.scope {
            let both = workspace.matrix(rows: x.rows, columns: 2 * inputs.columns)
            gate.forward(x, into: both[columns: 0..<inputs.columns])
            both[columns: inputs.columns..<both.columns].copy(from: inputs)
            let activation = workspace.matrix(rows: x.rows, columns: inputs.columns)
            GatedActivation.forward(both, into: activation, .geluTanh)
            let y = workspace.matrix(rows: x.rows, columns: x.columns)
            projection.forward(activation, into: y)
            norm.forward(y, into: y)
            x.add(y)
        }
    }
}

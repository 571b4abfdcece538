/// One layer of a decoder: this rank's heads and intermediate features, or experts.
struct DecoderLayer {
    let attention: DecoderAttention
    let feedForward: FeedForward
    let attentionNorms: Norms
    let feedForwardNorms: Norms
    let communicator: any Communicator

    enum FeedForward {
        case dense(GatedMLP)
        case experts(MixtureOfExperts)
    }

    /// The norm of a part's input, and the one of its output before that is added; nil for none.
    struct Norms {
        let input: RMSNorm
        let output: RMSNorm?
    }

    /// x becomes the layer's output.
    func forward(
        _ x: Matrix, _ rows: DecoderRows, _ rotations: [[RotaryEmbedding]], layer: Int, in workspace: Workspace
    ) {
        add(attentionNorms, to: x, in: workspace) { normalized, y in
            attention.addPart(normalized, to: y, rows, rotations, layer: layer, in: workspace)
        }
        add(feedForwardNorms, to: x, in: workspace) { normalized, y in
            switch feedForward {
            case .dense(let mlp): mlp.addPart(normalized, to: y, in: workspace)
            case .experts(let mixture): mixture.addPart(normalized, to: y, in: workspace)
            }
        }
    }

    /// x += what `part` makes of the normalised x: one of the layer's two all-reduces.
    ///
    /// - Parameter part: Adds this rank's part of the result for its first argument to its second.
    private func add(
        _ norms: Norms, to x: Matrix, in workspace: Workspace, _ part: (_ normalized: Matrix, _ y: Matrix) -> Void
    ) {
        workspace.scope {
            let normalized = workspace.matrix(rows: x.rows, columns: x.columns)
            norms.input.forward(x, into: normalized)
            guard let outputNorm = norms.output else {
                // Rank 0's part begins with x itself, so that it counts once.
                if communicator.rank > 0 { x.fill(0) }
                part(normalized, x)
                return communicator.allReduceSum(x)
            }
            let y = workspace.zeros(rows: x.rows, columns: x.columns)
            part(normalized, y)
            communicator.allReduceSum(y)
            outputNorm.forward(y, into: y)
            x.add(y)
        }
    }
}

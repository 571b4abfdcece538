/// Multi-head latent attention: this rank's heads (DeepSeek-AI 2024, DeepSeek-V2, section 2.1).
///
/// Each row has a latent of a few features that its keys and values are made of, and a part of the keys that turns and is
/// the same for all heads; so have queries a latent, in most models. Latents are computed by every rank, heads are
/// divided. A head's queries and keys are [turned | plain], and values end in zeros where they are shorter, so that all
/// are of one size until heads have attended; the cache holds keys and values, not latents.
struct LatentAttention {
    /// To the queries' latent, if there is one, the latent of keys and values, and the part of keys that turns.
    let down: ColumnParallelLinear
    /// Of the queries' latent; nil where queries are made of the row itself.
    let queryNorm: RMSNorm?
    let queryUp: ColumnParallelLinear
    let keyValueNorm: RMSNorm
    /// To keys, whose turned part stays zero, and values.
    let keyValueUp: ColumnParallelLinear
    let turnedDim: Int
    let output: RowParallelLinear
    let heads: HeadAttention

    /// y += this rank's part of attention of x.
    func addPart(_ x: Matrix, to y: Matrix, _ pass: DecoderPass, layer: Int, in workspace: Workspace) {
        workspace.scope {
            let latents = workspace.matrix(rows: x.rows, columns: down.weight.rows)
            down.forward(x, into: latents)
            let queryRank = queryNorm.map(\.weight.weight.columns) ?? 0
            let keyValue = latents[columns: queryRank..<latents.columns - turnedDim]
            let turned = latents[columns: latents.columns - turnedDim..<latents.columns]
            let joined = workspace.matrix(rows: x.rows, columns: heads.width + 2 * heads.keyValueWidth)
            let queries = joined[columns: 0..<heads.width]
            if let queryNorm {
                let latent = latents[columns: 0..<queryRank]
                queryNorm.forward(latent, into: latent)
                queryUp.forward(latent, into: queries)
            } else {
                queryUp.forward(x, into: queries)
            }
            keyValueNorm.forward(keyValue, into: keyValue)
            keyValueUp.forward(keyValue, into: joined[columns: heads.width..<joined.columns])
            for head in 0..<heads.attention.numHeads {
                let first = heads.width + head * heads.attention.headDim
                joined[columns: first..<first + turnedDim].copy(from: turned)
            }
            let attended = workspace.matrix(rows: x.rows, columns: heads.width)
            heads.forward(joined, pass, layer: layer, into: attended, in: workspace)
            output.addPart(values(of: attended, in: workspace), to: y)
        }
    }

    /// What heads attended to without the zeros that their values ended in.
    private func values(of attended: Matrix, in workspace: Workspace) -> Matrix {
        let (size, count) = (heads.attention.headDim, heads.attention.numHeads)
        let valueDim = output.weight.columns / count
        guard valueDim < size else { return attended }
        let values = workspace.matrix(rows: attended.rows, columns: output.weight.columns)
        for head in 0..<count {
            values[columns: head * valueDim..<(head + 1) * valueDim].copy(
                from: attended[columns: head * size..<head * size + valueDim])
        }
        return values
    }
}

/// What a layer takes, for what is planned and measured.
extension DecoderLayer {
    /// This rank's weights of the mixer that a row is multiplied with.
    var mixerWeightCount: Int {
        switch mixer {
        case .none: 0
        case .attention(let attention): attention.qkv.weight.count + attention.output.weight.count
        case .latent(let latent):
            [latent.down.weight, latent.queryUp.weight, latent.keyValueUp.weight, latent.output.weight].reduce(0) {
                $0 + $1.count
            }
        case .recurrent(let mixer): mixer.inputs.weight.count + mixer.output.weight.count
        }
    }

    /// Those of them that make keys and values: of these every row is needed, of the others what is asked for.
    var keyValueWeightCount: Int {
        switch mixer {
        case .attention(let attention):
            attention.heads.source == nil ? 2 * attention.heads.keyValueWidth * attention.qkv.weight.columns : 0
        case .latent(let latent): latent.keyValueUp.weight.count + latent.down.weight.count
        case .recurrent(let mixer): mixer.inputs.weight.count
        case .none: 0
        }
    }

    /// FLOP of a row that depend on no weight of a product: those of a state, three products of each number of it.
    var stateOperations: Double {
        if case .recurrent(let mixer) = mixer { 6 * Double(mixer.stateCount) } else { 0 }
    }

    /// The largest input of a product of the mixer but the layer's own.
    var mixerInputWidth: Int {
        switch mixer {
        case .none: 0
        case .attention(let attention): attention.output.weight.columns
        case .latent(let latent): max(latent.output.weight.columns, latent.down.weight.rows)
        case .recurrent(let mixer): mixer.output.weight.columns
        }
    }

    /// Floats of a workspace that the mixer takes of `rows`, of sequences of at most `longest`.
    func mixerFloats(rows: Int, longest: Int, threads: Int) -> Int {
        switch mixer {
        case .none: return 0
        case .attention(let attention):
            return rows * (attention.qkv.weight.rows + attention.heads.width)
                + attention.heads.scratchCount(rows: rows, longest: longest, threads: threads)
        case .latent(let latent):
            let heads = latent.heads
            let (width, values) = (heads.width, latent.output.weight.columns)
            return rows
                * (latent.down.weight.rows + 2 * width + 2 * heads.keyValueWidth + (values < width ? values : 0))
                + heads.scratchCount(rows: rows, longest: longest, threads: threads)
        case .recurrent(let mixer):
            return rows * (mixer.inputs.weight.rows + mixer.outputWidth) + longest * mixer.inputs.weight.rows
                + mixer.stateCount
        }
    }

    /// Floats that a row takes besides mixer and feed-forward network: of norms, and of outputs that have a norm of
    /// their own.
    func normFloats(hiddenSize: Int) -> Int {
        if case .both = feedForward { return 4 * hiddenSize }
        let hasOutputs = [mixerNorms, feedForwardNorms].contains { $0.output != nil } || residualScale != 1
        return (hasOutputs ? 2 : 1) * hiddenSize
    }
}

extension DecoderTargetModel {
    /// Floats of a row that all layers share: keys and values that others read, and embeddings for each layer.
    var sharedFloats: Int {
        sharingLayers.reduce(perLayerEmbedding?.table.weight.columns ?? 0) { sum, layer in
            sum + 2 * (layers[layer].heads?.keyValueWidth ?? 0)
        }
    }
}

extension HeadAttention {
    fileprivate func scratchCount(rows: Int, longest: Int, threads: Int) -> Int {
        attention.scratchCount(longest: longest, rows: rows, keyValueWidth: keyValueWidth, threads: threads)
    }
}

extension FrozenWeight {
    /// Numbers of it.
    var count: Int { rows * columns }
}

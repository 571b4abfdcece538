/// How a GGUF file stores what a family's own checkpoint stores otherwise.
extension DecoderDescription {
    /// The description of the same decoder in llama.cpp's layout: Llama's names, experts of all layers in three tensors,
    /// and what the converter has computed already.
    ///
    /// - Parameters:
    ///   - isInterleaved: Whether the converter made neighbours of the pairs that rotations turn.
    ///   - hasFusedGateUp: Whether gate and up are one tensor.
    func inGGUF(isInterleaved: Bool, hasFusedGateUp: Bool) -> DecoderDescription {
        var description = self
        description.spelling = [:]
        description.hasInterleavedRotation = hasInterleavedRotation || isInterleaved
        description.hasFusedGateUp = hasFusedGateUp
        // Nemotron's layers are one part each, whose norm has one name.
        let hasOneNorm = norms.feedForwardInput == norms.mixerInput
        description.norms = NormNames(
            mixerInput: norms.mixerInput.map { _ in "input_layernorm" },
            mixerOutput: norms.mixerOutput.map { _ in "mixer_output_norm" },
            feedForwardInput: norms.feedForwardInput.map { _ in
                hasOneNorm ? "input_layernorm" : "feed_forward_input_norm"
            },
            feedForwardOutput: norms.feedForwardOutput.map { _ in "feed_forward_output_norm" })
        for layer in layers.indices {
            if case .experts(let experts) = layers[layer].feedForward {
                description.layers[layer].feedForward = .experts(experts.inGGUF)
            }
            if case .stateSpace(var sizes) = layers[layer].mixer {
                sizes.isConverted = true
                description.layers[layer].mixer = .stateSpace(sizes)
            }
            if case .gatedDelta(var sizes) = layers[layer].mixer {
                sizes.isConverted = true
                description.layers[layer].mixer = .gatedDelta(sizes)
            }
        }
        return description
    }
}

extension DecoderDescription.Experts {
    fileprivate var inGGUF: DecoderDescription.Experts {
        var experts = self
        experts.layout = .stackedParts
        experts.routerName = "router"
        experts.correctionName = correctionName.map { _ in "expert_bias" }
        experts.hasFusedShared = false
        return experts
    }
}

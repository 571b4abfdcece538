import Shared

/// A rank's part of mixers with a state: channels of a convolution, and heads.
extension DecoderShard {
    func shortConvolution(_ name: String, taps: Int) throws(WeightsError) -> ShortConvolution {
        let h = description.hiddenSize
        let channels = part(h)
        let outputs = (0..<3).flatMap { third in channels.map { third * h + $0 } }
        return ShortConvolution(
            inputs: try columnParallel([("\(name).in_proj", outputs, 3 * h)], hasBias: false),
            convolution: try convolution("\(name).conv1d", Array(channels), of: h, taps, hasSilu: false),
            output: try rowParallel("\(name).out_proj", channels, of: h, hasBias: false))
    }

    func gatedDelta(
        _ name: String, _ sizes: DecoderDescription.GatedDeltaSizes
    ) throws(WeightsError) -> GatedDeltaMixer {
        let perKey = sizes.valueHeads / sizes.keyHeads
        var (values, keys) = dividedHeads(sizes.valueHeads, perGroup: perKey)
        if sizes.isConverted { keys = 0..<sizes.keyHeads }
        let keyHead = values.map { sizes.isConverted ? $0 % sizes.keyHeads : $0 / perKey - keys.lowerBound }
        let joined =
            sizes.isConverted ? name.replacing("linear_attn", with: "self_attn.qkv_proj") : "\(name).in_proj_qkv"
        let logA = try vector("\(name).A_log", Array(values), of: sizes.valueHeads)
        if sizes.isConverted { plan.takeLogarithm(ofNegative: logA) }
        let (keyWidth, valueWidth) = (sizes.keyHeads * sizes.keyDim, sizes.valueHeads * sizes.valueDim)
        let ofKeys = keys.lowerBound * sizes.keyDim..<keys.upperBound * sizes.keyDim
        let ofValues = values.lowerBound * sizes.valueDim..<values.upperBound * sizes.valueDim
        let channels = ofKeys.map { $0 } + ofKeys.map { $0 + keyWidth } + ofValues.map { $0 + 2 * keyWidth }
        let total = 2 * keyWidth + valueWidth
        return GatedDeltaMixer(
            inputs: try columnParallel(
                [
                    (joined, channels, total), ("\(name).in_proj_z", Array(ofValues), valueWidth),
                    ("\(name).in_proj_b", Array(values), sizes.valueHeads),
                    ("\(name).in_proj_a", Array(values), sizes.valueHeads),
                ], hasBias: false),
            convolution: try convolution("\(name).conv1d", channels, of: total, sizes.taps, hasSilu: true),
            rule: GatedDeltaRule(keyDim: sizes.keyDim, valueDim: sizes.valueDim),
            keyHead: keyHead, keyHeads: keys.count, logA: logA,
            bias: try vector("\(name).dt_bias", Array(values), of: sizes.valueHeads),
            norm: try norm("\(name).gated_norm", sizes.valueDim, offset: 0),
            output: try rowParallel("\(name).out_proj", ofValues, of: valueWidth, hasBias: false))
    }

    func stateSpace(
        _ name: String, _ sizes: DecoderDescription.StateSpaceSizes
    ) throws(WeightsError) -> StateSpaceMixer {
        let perGroup = sizes.heads / sizes.groups
        let (heads, groups) = dividedHeads(sizes.heads, perGroup: perGroup)
        let (width, n) = (sizes.heads * sizes.headDim, sizes.groups * sizes.stateSize)
        let features = heads.lowerBound * sizes.headDim..<heads.upperBound * sizes.headDim
        let states = groups.lowerBound * sizes.stateSize..<groups.upperBound * sizes.stateSize
        // x, B and C within what the convolution sees; z stands before that, and dt after it.
        let channels = features.map { $0 } + states.map { width + $0 } + states.map { width + n + $0 }
        let total = width + 2 * n
        let outputs = channels.map { width + $0 } + Array(features) + heads.map { width + total + $0 }
        let vectors = try ["A_log", "D", "dt_bias"].map { part throws(WeightsError) in
            try vector("\(name).\(part)", Array(heads), of: sizes.heads)
        }
        if sizes.isConverted { plan.takeLogarithm(ofNegative: vectors[0]) }
        return StateSpaceMixer(
            inputs: try columnParallel(
                [("\(name).in_proj", outputs, width + total + sizes.heads)], hasBias: false),
            convolution: try convolution(
                "\(name).conv1d", channels, of: total, sizes.taps, hasBias: sizes.hasConvolutionBias, hasSilu: true),
            space: StateSpace(headDim: sizes.headDim, stateSize: sizes.stateSize),
            group: heads.map { $0 / perGroup - groups.lowerBound }, groups: groups.count, deltas: sizes.deltas,
            logA: vectors[0], skip: vectors[1], bias: vectors[2],
            norm: try groupNorm("\(name).gated_norm", sizes, heads, groups),
            output: try rowParallel("\(name).out_proj", features, of: width, hasBias: false))
    }

    /// The norm of each group's heads.
    private func groupNorm(
        _ name: String, _ sizes: DecoderDescription.StateSpaceSizes, _ heads: Range<Int>, _ groups: Range<Int>
    ) throws(WeightsError) -> DividedRMSNorm {
        let (size, perGroup) = (sizes.headDim, sizes.heads / sizes.groups)
        let pieces = groups.map { group in
            let own = heads.clamped(to: group * perGroup..<(group + 1) * perGroup)
            let columns = (own.lowerBound - heads.lowerBound) * size..<(own.upperBound - heads.lowerBound) * size
            return DividedRMSNorm.Piece(columns: columns, group: group, isCounted: true)
        }
        let features = heads.lowerBound * size..<heads.upperBound * size
        return DividedRMSNorm(
            pieces: pieces, groupSizes: [Int](repeating: perGroup * size, count: sizes.groups),
            weight: try vector("\(name).weight", Array(features), of: sizes.heads * size),
            epsilon: description.normEpsilon, communicator: communicator)
    }

    /// This rank's heads, and all groups of neighbouring ones that they belong to.
    private func dividedHeads(_ count: Int, perGroup: Int) -> (heads: Range<Int>, groups: Range<Int>) {
        let heads = part(count)
        guard !heads.isEmpty else { return (heads, 0..<0) }
        return (heads, heads.lowerBound / perGroup..<(heads.upperBound - 1) / perGroup + 1)
    }

    private func convolution(
        _ name: String, _ channels: [Int], of total: Int, _ taps: Int, hasBias: Bool = false, hasSilu: Bool
    ) throws(WeightsError) -> CausalConvolution {
        let tensor = try plan.tensor("\(name).weight", [total, 1, taps], or: [total, taps])
        let weight = plan.memory.matrix(rows: taps, columns: channels.count)
        plan.read(tensor, outputs: channels, inputs: 0..<taps, into: .float32(weight))
        return CausalConvolution(
            weight: weight, bias: hasBias ? try vector("\(name).bias", channels, of: total) : nil, hasSilu: hasSilu)
    }
}

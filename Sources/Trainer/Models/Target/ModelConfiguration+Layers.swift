import Shared

/// Keys that several families have, and what isn't supported.
extension ModelConfiguration {
    /// Refuses an activation other than `supported`.
    func expectActivation(_ supported: String...) throws(JSONError) {
        guard supported.contains(hiddenActivation) else {
            throw JSONError(
                "key 'hidden_act' is '\(hiddenActivation)', supported is \(supported[0])", at: path)
        }
    }

    /// Refuses a key that is there with anything but the value that changes nothing.
    func refuse(_ key: String, unless isHarmless: (JSONNode) -> Bool = { _ in false }) throws(JSONError) {
        guard let node = text[key], !isHarmless(node) else { return }
        throw node.error("is set, which isn't supported")
    }

    /// The kind of attention of each layer: `layer_types`, or what the family does without it.
    ///
    /// - Parameters:
    ///   - kinds: What each name stands for.
    ///   - key: What the family calls `layer_types`; Mamba's hybrids have `layers_block_type`, before or beside it.
    func layerTypes<Kind>(
        _ kinds: [String: Kind], key: String = "layer_types", default: (Int) -> Kind
    ) throws(JSONError) -> [Kind] {
        let isMixer = ["layer_types", "layers_block_type"].contains(key)
        let other = isMixer ? text["layer_types"] ?? text["layers_block_type"] : nil
        guard let node = text[key] ?? other else { return layerIndices.map(`default`) }
        let types = try node.elements.map { element throws(JSONError) in
            let name = try element.asString()
            guard let kind = kinds[name] else {
                throw element.error("is '\(name)', supported are \(kinds.keys.sorted().joined(separator: ", "))")
            }
            return kind
        }
        guard types.count == numHiddenLayers else {
            throw node.error("names \(types.count) layers, should name num_hidden_layers, \(numHiddenLayers)")
        }
        return types
    }

    var layerIndices: Range<Int> { 0..<numHiddenLayers }

    /// A flag for each layer, 0 or 1: those under `key`, or what the family does without them.
    func layerFlags(_ key: String, default: (Int) -> Bool) throws(JSONError) -> [Bool] {
        guard let node = text[key], !node.elements.isEmpty else { return layerIndices.map(`default`) }
        let flags = try node.elements.map { element throws(JSONError) in try element.asInt() != 0 }
        guard flags.count == numHiddenLayers else {
            throw node.error("has \(flags.count) layers, should have \(numHiddenLayers)")
        }
        return flags
    }

    /// What caps values x as c tanh(x / c): a number above 0, or none where `null` is written.
    func cap(_ key: String, default: Double?) throws(JSONError) -> Float? {
        if text[key] == nil, text.value[key] != nil { return nil }
        guard let value = try text[key].map({ _ throws(JSONError) in try positive(key, default: 1) }) ?? `default`
        else {
            return nil
        }
        return Float(value)
    }

    /// The rows that a convolution sees, at least two.
    func taps(_ key: String, _ default: Int) throws(JSONError) -> Int {
        let taps = try size(key) ?? `default`
        guard 2...1024 ~= taps else { throw try text.required(key).error("is \(taps), should be 2 to 1024") }
        return taps
    }

    /// The size of a window or chunk: a number above 0 under `key`; nil if there is none.
    func size(_ key: String) throws(JSONError) -> Int? {
        guard let node = text[key] else { return nil }
        let size = try node.asInt()
        guard size > 0 else { throw node.error("is \(size), should be above 0") }
        guard size < 1 << 31 else { throw node.error("is \(size), should be below \(1 << 31)") }
        return size
    }

    /// The size under a key that must be there.
    func requiredSize(_ key: String) throws(JSONError) -> Int {
        guard let size = try size(key) else { return try text.int(key) }
        return size
    }

    /// A number above 0, or what a family takes if there is none.
    func positive(_ key: String, default: Double) throws(JSONError) -> Double {
        guard let node = text[key] else { return `default` }
        let value = try node.asDouble()
        guard value > 0 else { throw node.error("is \(value), should be above 0") }
        return value
    }

    /// The experts of a layer: `num_local_experts`, or `num_experts` as transformers 4 wrote it for some families.
    func expertCount() throws(JSONError) -> Int {
        for key in ["num_local_experts", "num_experts"] {
            if let count = try size(key) { return count }
        }
        return try text.int("num_local_experts")
    }

    /// The experts that a token goes to, of `count`.
    func expertsPerToken(
        of count: Int, key: String = "num_experts_per_tok", default: Int? = nil
    ) throws(JSONError) -> Int {
        let node = text[key] ?? text["experts_per_token"]
        guard let number = try node?.asInt() ?? `default` else { return try text.int(key) }
        guard number >= 1, number <= count else {
            throw JSONError(
                "key '\(key)' is \(number), should be at least 1 and at most \(count), the experts of a layer",
                at: path)
        }
        return number
    }
}

// MARK: - What several families have

extension ModelConfiguration {
    /// DeepSeek-V3's way of choosing experts, with what a family takes where keys are left out.
    func groupedSigmoid(
        experts: Int, groups: Int, chosenGroups: Int, scale: Double
    ) throws(JSONError) -> ExpertRouting.Weighting {
        let (all, chosen) = (try size("n_group") ?? groups, try size("topk_group") ?? chosenGroups)
        guard experts.isMultiple(of: all), all == 1 || experts / all >= 2 else {
            throw JSONError(
                "key 'n_group' is \(all), should divide the \(experts) experts into groups of at least 2", at: path)
        }
        guard chosen <= all, chosen * (experts / all) >= (try text.int("num_experts_per_tok", default: 1)) else {
            throw JSONError(
                "key 'topk_group' is \(chosen), should be at most n_group, \(all), and leave experts enough for a token",
                at: path)
        }
        let isRenormalized = try text.bool("norm_topk_prob", default: true)
        return .sigmoid(
            .init(
                epsilon: isRenormalized ? 1e-20 : nil,
                scale: Float(try positive("routed_scaling_factor", default: scale)), groups: all, chosenGroups: chosen))
    }

    /// Mamba-2's sizes, checked.
    ///
    /// - Parameter bias: The key that says whether the convolution has a bias.
    func stateSpace(
        heads: Int, headDim: Int, groups: Int, stateSize: Int, taps: Int, bias: String, leastDelta: Double
    ) throws(JSONError) -> DecoderDescription.StateSpaceSizes {
        guard heads.isMultiple(of: groups), headDim > 0, 2...1024 ~= taps else {
            throw JSONError(
                "has \(heads) Mamba heads of \(headDim) in \(groups) groups and a convolution of \(taps) rows; groups should "
                    + "divide heads, and the convolution have 2 to 1024", at: path)
        }
        return DecoderDescription.StateSpaceSizes(
            heads: heads, headDim: headDim, groups: groups, stateSize: stateSize, taps: taps,
            hasConvolutionBias: try text.bool(bias, default: true), deltas: Float(leastDelta)...Float.infinity)
    }

    /// The lower end of `time_step_limit`.
    func leastDelta() throws(JSONError) -> Double {
        guard let node = text["time_step_limit"]?.elements.first else { return 0 }
        return max(0, try node.asDouble())
    }
}

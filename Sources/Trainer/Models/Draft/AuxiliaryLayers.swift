import Shared

/// The target's layers whose outputs a draft sees, and the two conventions in which a `config.json` names them.
///
/// `eagle_aux_hidden_state_layer_ids` at the top level holds inputs: id k is what layer k is given, the output of layer
/// k − 1 (vLLM; llama.cpp's converter). Inside `eagle_config` it holds outputs (SGLang, which adds 1 to each). vLLM's V1
/// runner takes those of `eagle_config` for inputs where there are none at the top level, and its V2 runner and
/// llama.cpp don't look there at all; so both are written.
struct AuxiliaryLayers: Equatable, Sendable {
    /// How many layers a draft sees: those whose numbers engines know by default.
    static let count = 3
    static let key = "eagle_aux_hidden_state_layer_ids"

    /// The layers whose outputs they are, counted from 0.
    let outputs: [Int]

    /// The layers that are given them, counted from 0: the number of layers for the output of the last.
    var inputs: [Int] { outputs.map { $0 + 1 } }

    /// [1, n/2 − 1, n − 4] of n layers, as SpecForge and SGLang have them; held within the layers there are.
    init(ofLayers n: Int) {
        outputs = [1, n / 2 - 1, n - 4].map { min(max(0, $0), n - 1) }
    }

    init(outputs: [Int]) { self.outputs = outputs }

    /// What a draft's configuration says, by whichever key it has.
    ///
    /// Ids of `eagle_config` alone that are [2, n/2, n − 3] are inputs: the default of vLLM and llama.cpp, which other
    /// trainers write there.
    ///
    /// - Parameter n: The target's number of layers.
    /// - Throws: `JSONError` that names the key, if it names other than three layers that there are, or if both keys are
    ///   there and name different ones.
    init(_ root: JSONNode, ofLayers n: Int) throws(JSONError) {
        let enginesDefault = [2, n / 2, n - 3]
        let nested = try root["eagle_config"]?[Self.key].map { node throws(JSONError) in
            (node: node, ids: try Self.ids(node))
        }
        guard let top = root[Self.key] else {
            guard let (node, ids) = nested else {
                self.init(ofLayers: n)
                return
            }
            self.init(outputs: ids == enginesDefault ? ids.map { $0 - 1 } : ids)
            guard isWithin(n) else { throw node.error("is \(ids), should be three layers of the target's \(n)") }
            return
        }
        let ids = try Self.ids(top)
        self.init(outputs: ids.map { $0 - 1 })
        guard isWithin(n) else {
            throw top.error(
                "is \(ids), should be the inputs of three layers, 1 to \(n), the target's number of layers; 0, the "
                    + "embedding, isn't supported")
        }
        if let nested, nested.ids != outputs, nested.ids != ids || ids != enginesDefault {
            throw top.error(
                "is \(ids), the outputs of layers \(outputs), but that of eagle_config is \(nested.ids): they should "
                    + "name the same layers")
        }
    }

    /// The configuration with both keys.
    func written(to configuration: JSONText) -> JSONText {
        let own = JSONText.array(outputs.map(JSONText.int))
        let nested = configuration["eagle_config"] ?? .object([("use_aux_hidden_state", .bool(true))])
        return configuration.setting(Self.key, .array(inputs.map(JSONText.int)))
            .setting("eagle_config", nested.setting(Self.key, own))
    }

    private func isWithin(_ n: Int) -> Bool {
        outputs.count == Self.count && outputs.allSatisfy { 0..<n ~= $0 }
    }

    private static func ids(_ node: JSONNode) throws(JSONError) -> [Int] {
        try node.asArray().map { element throws(JSONError) in try element.asInt() }
    }
}

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
    /// - Parameter kinds: What each name stands for.
    func layerTypes<Kind>(_ kinds: [String: Kind], default: (Int) -> Kind) throws(JSONError) -> [Kind] {
        guard let node = text["layer_types"] else { return (0..<numHiddenLayers).map(`default`) }
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

    /// The size of a window or chunk: a number above 0 under `key`; nil if there is none.
    func size(_ key: String) throws(JSONError) -> Int? {
        guard let node = text[key] else { return nil }
        let size = try node.asInt()
        guard size > 0 else { throw node.error("is \(size), should be above 0") }
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
    func expertsPerToken(of count: Int, default: Int? = nil) throws(JSONError) -> Int {
        let node = text["num_experts_per_tok"] ?? text["experts_per_token"]
        guard let number = try node?.asInt() ?? `default` else { return try text.int("num_experts_per_tok") }
        guard 1...count ~= number else {
            throw JSONError(
                "key 'num_experts_per_tok' is \(number), should be at least 1 and at most \(count), the experts of a layer",
                at: path)
        }
        return number
    }
}

/// How positions turn a head: `rope_theta` and `rope_scaling`, or transformers 5's `rope_parameters`.
public struct RopeConfiguration: Sendable {
    public let theta: Double
    /// The kind of scaling: "default" for none.
    public let type: String
    /// The share of a head that is turned; the rest stays.
    public let partialRotaryFactor: Double
    public let maxPositionEmbeddings: Int
    /// The longest sequence before the model was extended, where the configuration says it outside of the scaling.
    public let originalMaxPositionEmbeddings: Int?
    /// `rope_scaling` as it is written, to be copied into the draft's configuration.
    public let scaling: JSONText?
    /// The scaling's other keys, as they are written: numbers, lists of numbers, and true or false.
    private let parameters: [String: Double]
    private let lists: [String: [Double]]
    private let flags: [String: Bool]
    private let path: String

    init(_ root: JSONNode, _ defaults: ModelDefaults, maxPositionEmbeddings: Int) throws(JSONError) {
        let scaling = try (root["rope_scaling"] ?? root["rope_parameters"])?.asObject()
        theta = try (root["rope_theta"] ?? scaling?["rope_theta"])?.asDouble() ?? defaults.ropeTheta
        type = try (scaling?["rope_type"] ?? scaling?["type"])?.asString() ?? "default"
        partialRotaryFactor =
            try (root["partial_rotary_factor"] ?? scaling?["partial_rotary_factor"])?.asDouble() ?? 1
        self.maxPositionEmbeddings = maxPositionEmbeddings
        originalMaxPositionEmbeddings = try root["original_max_position_embeddings"]?.asInt()
        var (parameters, lists): ([String: Double], [String: [Double]]) = ([:], [:])
        var flags: [String: Bool] = [:]
        for (key, node) in scaling?.members ?? [] {
            switch node.value.kind {
            case .array: lists[key] = try node.elements.map { element throws(JSONError) in try element.asDouble() }
            case .boolean: flags[key] = node.value.bool
            case .object: throw node.error("is an object: parameters for each kind of layer aren't supported")
            case .string where !["rope_type", "type"].contains(key): parameters[key] = try node.asDouble()
            default: parameters[key] = node.value.double
            }
        }
        (self.parameters, self.lists, self.flags) = (parameters, lists, flags)
        self.scaling = type == "default" ? nil : scaling.map { JSONText($0.value) }
        path = root.error("").place
        guard theta > 0 else { throw JSONError("key 'rope_theta' is \(theta), should be above 0", at: path) }
        guard partialRotaryFactor > 0, partialRotaryFactor <= 1 else {
            throw JSONError(
                "key 'partial_rotary_factor' is \(partialRotaryFactor), should be above 0 and at most 1", at: path)
        }
    }

    /// A rotation without scaling that differs in its base alone.
    public func unscaled(theta: Double) -> RopeConfiguration { RopeConfiguration(self, theta: theta) }

    private init(_ other: RopeConfiguration, theta: Double) {
        self.theta = theta
        type = "default"
        partialRotaryFactor = other.partialRotaryFactor
        maxPositionEmbeddings = other.maxPositionEmbeddings
        originalMaxPositionEmbeddings = other.originalMaxPositionEmbeddings
        (parameters, lists, flags) = ([:], [:], [:])
        scaling = nil
        path = other.path
    }

    /// A number of the scaling that must be there, and above 0.
    public func parameter(_ key: String) throws(JSONError) -> Double {
        guard let value = parameters[key] else { throw missing(key) }
        guard value > 0 else {
            throw JSONError("key 'rope_scaling.\(key)' is \(value), should be above 0", at: path)
        }
        return value
    }

    /// A number of the scaling, if it is there.
    public func optional(_ key: String) -> Double? { parameters[key] }

    public func flag(_ key: String, default: Bool) -> Bool { flags[key] ?? `default` }

    /// A list of the scaling that must be there and have `count` numbers.
    public func list(_ key: String, count: Int) throws(JSONError) -> [Double] {
        guard let list = lists[key] else { throw missing(key) }
        guard list.count == count else {
            throw JSONError(
                "key 'rope_scaling.\(key)' has \(list.count) numbers, should have \(count), one for each pair of a head",
                at: path)
        }
        return list
    }

    /// An error about the kind of scaling.
    public func unsupported(_ supported: [String]) -> JSONError {
        JSONError(
            "key 'rope_scaling.rope_type' is '\(type)', supported are \(supported.joined(separator: ", "))", at: path)
    }

    private func missing(_ key: String) -> JSONError {
        JSONError("key 'rope_scaling.\(key)' is missing, which rope type '\(type)' needs", at: path)
    }
}

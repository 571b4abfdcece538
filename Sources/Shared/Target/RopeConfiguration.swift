/// How positions turn a head: `rope_theta` and `rope_scaling`, or transformers 5's `rope_parameters`.
///
/// Where a configuration has both spellings, what counts is what transformers 5 makes of it: `rope_scaling` before
/// `rope_parameters` unless it is empty, and within either its `rope_theta` before the one beside it.
public struct RopeConfiguration: Sendable {
    public let theta: Double
    /// The kind of scaling: "default" for none.
    public let type: String
    /// The share of a head that is turned; the rest stays.
    public let partialRotaryFactor: Double
    public let maxPositionEmbeddings: Int
    /// The longest sequence before the model was extended, where the configuration has it outside of the scaling.
    public let originalMaxPositionEmbeddings: Int?
    /// `rope_scaling` as it is written, to be copied into the draft's configuration.
    public let scaling: JSONText?
    /// The scaling's other keys, as they are written: numbers, lists of numbers, and true or false.
    private let parameters: [String: Double]
    private let lists: [String: [Double]]
    private let flags: [String: Bool]
    public let path: String

    /// Keys of `rope_parameters` in families whose kinds of layers have rotations of their own.
    private static let kinds = (full: "full_attention", sliding: "sliding_attention")

    /// The rotation of layers that see the whole sequence, or of all.
    init(_ root: JSONNode, _ defaults: ModelDefaults, maxPositionEmbeddings: Int) throws(JSONError) {
        let nested = try Self.nested(root, defaults)
        let own = try nested == nil ? Self.nonEmpty(root["rope_parameters"]) : nested?[Self.kinds.full]?.asObject()
        let scaling = try Self.nonEmpty(root["rope_scaling"]) ?? own
        // Where kinds are named, `rope_scaling` is put into the rotation of full attention, whose base stays.
        let theta = scaling?["rope_theta"] ?? (nested == nil ? nil : own?["rope_theta"]) ?? root["rope_theta"]
        try self.init(root, scaling, theta: theta?.asDouble() ?? defaults.ropeTheta, defaults, maxPositionEmbeddings)
    }

    /// The rotation of layers with a sliding window, in families that have two: `rope_parameters.sliding_attention`, or
    /// `rope_local_base_freq` without scaling.
    init(sliding root: JSONNode, _ defaults: ModelDefaults, maxPositionEmbeddings: Int) throws(JSONError) {
        let scaling = try Self.nested(root, defaults)?[Self.kinds.sliding]?.asObject()
        let others = defaults.localRopeTheta == nil ? root["rope_theta"] : nil
        let theta = scaling?["rope_theta"] ?? root["rope_local_base_freq"] ?? others
        try self.init(
            root, scaling, theta: theta?.asDouble() ?? defaults.localRopeTheta ?? defaults.ropeTheta, defaults,
            maxPositionEmbeddings)
    }

    /// `rope_parameters`, if it has a rotation for each kind of layer.
    private static func nested(_ root: JSONNode, _ defaults: ModelDefaults) throws(JSONError) -> JSONNode? {
        guard defaults.hasRotationsByKind, let node = try nonEmpty(root["rope_parameters"]) else { return nil }
        return node[kinds.full] != nil || node[kinds.sliding] != nil ? node : nil
    }

    private static func nonEmpty(_ node: JSONNode?) throws(JSONError) -> JSONNode? {
        guard let object = try node?.asObject(), !object.members.isEmpty else { return nil }
        return object
    }

    private init(
        _ root: JSONNode, _ scaling: JSONNode?, theta: Double, _ defaults: ModelDefaults, _ maxPositionEmbeddings: Int
    ) throws(JSONError) {
        self.theta = theta
        type = try (scaling?["rope_type"] ?? scaling?["type"])?.asString() ?? "default"
        let given = try (scaling?["partial_rotary_factor"] ?? root["partial_rotary_factor"])?.asDouble()
        let factor = given ?? defaults.partialRotaryFactor ?? 1
        // transformers knows the key only of some families; others turn whole heads, whatever it says.
        partialRotaryFactor = defaults.partialRotaryFactor == nil ? 1 : factor
        guard factor == 1 || defaults.partialRotaryFactor != nil || type == "default" else {
            throw root.error("has partial_rotary_factor \(factor) with rope type '\(type)', which isn't supported")
        }
        self.maxPositionEmbeddings = maxPositionEmbeddings
        originalMaxPositionEmbeddings = try root["original_max_position_embeddings"]?.asInt()
        var (parameters, lists): ([String: Double], [String: [Double]]) = ([:], [:])
        var flags: [String: Bool] = [:]
        for (key, node) in scaling?.members ?? [] {
            switch node.value.kind {
            case .array: lists[key] = try node.elements.map { element throws(JSONError) in try element.asDouble() }
            case .boolean: flags[key] = node.value.bool
            case .object: throw node.error("is an object: a rotation for each kind of layer isn't supported here")
            case .string where !["rope_type", "type"].contains(key): parameters[key] = try node.asDouble()
            case .integer, .number: parameters[key] = try node.asDouble()
            default: break
            }
        }
        (self.parameters, self.lists, self.flags) = (parameters, lists, flags)
        // A draft turns whole heads, which proportional rotation has no meaning for.
        self.scaling = ["default", "proportional"].contains(type) ? nil : scaling.map { JSONText($0.value) }
        path = root.error("").location
        guard theta > 0 else { throw JSONError("key 'rope_theta' is \(theta), should be above 0", at: path) }
        guard partialRotaryFactor > 0, partialRotaryFactor <= 1 else {
            throw JSONError(
                "key 'partial_rotary_factor' is \(partialRotaryFactor), should be above 0 and at most 1", at: path)
        }
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

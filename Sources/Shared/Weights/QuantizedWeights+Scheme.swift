/// What `quantization_config` says.
extension QuantizedWeights.Scheme {
    /// The largest group or block.
    private static let sizes = 1...1 << 24

    /// Nil if a directory's `config.json` names none, or gpt-oss's MXFP4, which the model reads.
    init?(directory: String) throws {
        let path = "\(directory)/config.json"
        guard fileExists(path) else { return nil }
        let root = try JSONFile(path).root
        guard let node = root["quantization_config"] ?? root["text_config"]?["quantization_config"],
            node.value.kind == .object
        else { return nil }
        let method = try node.required("quant_method")
        switch try method.asString() {
        case "mxfp4": return nil
        case "fp8": self = .fp8(block: try Self.block(node["weight_block_size"]))
        case "awq":
            try Self.expect(node, "bits", 4)
            if let version = node["version"], try version.asString().lowercased() != "gemm" {
                throw version.error("is '\(try version.asString())', supported is gemm")
            }
            self = .awq(groupSize: try Self.groupSize(node.required("group_size")))
        case "gptq":
            let bits = try Self.bits(node.required("bits"))
            let format = try node["checkpoint_format"]?.asString() ?? "gptq"
            guard ["gptq", "gptq_v2"].contains(format) else {
                throw try node.required("checkpoint_format").error("is '\(format)', supported are gptq and gptq_v2")
            }
            self = .gptq(
                bits: bits, groupSize: try Self.groupSize(node.required("group_size")),
                addedToZeros: format == "gptq" ? 1 : 0)
        case "compressed-tensors": try self.init(compressed: node)
        case let other:
            throw method.error(
                "is '\(other)', supported are \(QuantizedWeights.methods.joined(separator: ", ")), and mxfp4 of GptOssForCausalLM"
            )
        }
    }

    private init(compressed node: JSONNode) throws {
        let format = try node.required("format")
        let known = ["pack-quantized", "int-quantized", "float-quantized", "naive-quantized"]
        guard known.contains(try format.asString()) else {
            throw format.error("is '\(try format.asString())', supported are \(known.joined(separator: ", "))")
        }
        if let sparsity = node["sparsity_config"]?["format"], try sparsity.asString() != "dense" {
            throw sparsity.error("is '\(try sparsity.asString())', supported is dense")
        }
        let groups = try node.required("config_groups").members
        guard groups.count == 1, let group = groups.first?.1 else {
            throw try node.required("config_groups").error("has \(groups.count) groups, supported is one")
        }
        let weights = try group.required("weights")
        let strategy = try weights.required("strategy")
        var (size, block): (Int?, (rows: Int, columns: Int)?)
        switch try strategy.asString() {
        case "tensor", "channel": break
        case "group": size = try Self.groupSize(weights.required("group_size"))
        case "block": block = try Self.block(weights.required("block_structure"))
        case let other: throw strategy.error("is '\(other)', supported are tensor, channel, group and block")
        }
        self = .compressed(
            bits: try Self.bits(weights.required("num_bits")), groupSize: size == -1 ? nil : size, block: block,
            isSymmetric: try weights.bool("symmetric", default: true))
    }

    private static func bits(_ node: JSONNode) throws(JSONError) -> Int {
        let bits = try node.asInt()
        guard bits == 4 || bits == 8 else { throw node.error("is \(bits), supported are 4 and 8") }
        return bits
    }

    private static func expect(_ node: JSONNode, _ key: String, _ value: Int) throws(JSONError) {
        let found = try node.required(key)
        guard try found.asInt() == value else { throw found.error("is \(try found.asInt()), supported is \(value)") }
    }

    /// -1 for all inputs.
    private static func groupSize(_ node: JSONNode) throws(JSONError) -> Int {
        let size = try node.asInt()
        guard size == -1 || sizes.contains(size) else { throw node.error("is \(size), should be -1 or at least 1") }
        return size
    }

    private static func block(_ node: JSONNode?) throws(JSONError) -> (rows: Int, columns: Int)? {
        guard let node, node.value.kind != .null else { return nil }
        let elements = node.elements
        guard elements.count == 2 else { throw node.error("has \(elements.count) elements, should have 2") }
        let (rows, columns) = (try elements[0].asInt(), try elements[1].asInt())
        guard sizes.contains(rows), sizes.contains(columns) else {
            throw node.error("is [\(rows), \(columns)], should be of numbers from 1 on")
        }
        return (rows, columns)
    }
}

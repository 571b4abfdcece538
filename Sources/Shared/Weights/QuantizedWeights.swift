/// The weights of a directory that `quantization_config` in its `config.json` says are packed: each matrix as one tensor,
/// of the several that it is stored as.
public struct QuantizedWeights {
    private let scheme: Scheme
    private let tensors: [String: StoredTensor]

    /// How a directory is packed.
    enum Scheme {
        case fp8(block: (rows: Int, columns: Int)?)
        case awq(groupSize: Int)
        case gptq(bits: Int, groupSize: Int, addedToZeros: Int)
        case compressed(bits: Int, groupSize: Int?, block: (rows: Int, columns: Int)?, isSymmetric: Bool)
    }

    /// The methods that are read, for messages.
    public static let methods = ["awq", "compressed-tensors", "fp8", "gptq"]

    /// The tensors of a directory as matrices.
    static func joined(_ tensors: [String: StoredTensor], directory: String) throws -> [String: StoredTensor] {
        guard let scheme = try Scheme(directory: directory) else { return tensors }
        return try QuantizedWeights(scheme: scheme, tensors: tensors).joined()
    }

    private func joined() throws(WeightsError) -> [String: StoredTensor] {
        var joined = tensors
        for name in tensors.keys.sorted() {
            guard let (base, matrix) = try matrix(name) else { continue }
            joined[name] = nil
            for part in Self.companions { joined["\(base).\(part)"] = nil }
            joined["\(base).weight"] = matrix
        }
        return joined
    }

    /// What stands beside codes: scales, zeros, and what only activations need.
    private static let companions = [
        "weight_scale", "weight_scale_inv", "weight_zero_point", "weight_shape", "weight_g_idx", "input_scale",
        "input_zero_point", "activation_scale", "activation_scale_inv", "scales", "qzeros", "g_idx",
    ]

    /// The matrix whose codes a tensor holds; nil if it holds none.
    private func matrix(_ name: String) throws(WeightsError) -> (base: String, StoredTensor)? {
        guard let dot = name.lastIndex(of: "."), let codes = tensors[name] else { return nil }
        let (base, part) = (String(name[..<dot]), name[name.index(after: dot)...])
        let coded: CodedTensor
        switch (scheme, part, codes.type) {
        case (.fp8(let block), "weight", .float8): coded = try bytes(base, codes, .float8, .all(0), block)
        case (.compressed(_, let group, let block, let isSymmetric), "weight", .float8),
            (.compressed(_, let group, let block, let isSymmetric), "weight", .int8):
            coded = try bytes(base, codes, block, group, isSymmetric)
        case (.compressed(let bits, let group, _, let isSymmetric), "weight_packed", _):
            coded = try packed(base, codes, bits, group, isSymmetric)
        case (.awq(let group), "qweight", _): coded = try awq(base, codes, group)
        case (.gptq(let bits, let group, let added), "qweight", _): coded = try gptq(base, codes, bits, group, added)
        default: return nil
        }
        return (
            base,
            StoredTensor(
                name: "\(base).weight", type: .uint8, shape: [coded.shape.rows, coded.shape.columns], file: codes.file,
                range: codes.range, packing: coded)
        )
    }

    // MARK: - Parts

    private func companion(_ base: String, _ part: String, beside codes: StoredTensor) throws(WeightsError)
        -> StoredTensor
    {
        guard let tensor = tensors["\(base).\(part)"] else {
            throw WeightsError(
                codes.path, tensor: "\(base).\(part)", "is missing, should be there beside '\(codes.name)'")
        }
        return tensor
    }

    private func scales(_ base: String, _ parts: [String], beside codes: StoredTensor) throws(WeightsError)
        -> StoredTensor
    {
        let part = parts.first { tensors["\(base).\($0)"] != nil } ?? parts[0]
        let tensor = try companion(base, part, beside: codes)
        guard tensor.type.isFloatingPoint else {
            throw tensor.error("is of type \(tensor.type.rawValue), should be of floating point")
        }
        return tensor
    }

    private func expectMatrix(_ tensor: StoredTensor, _ type: TensorType? = nil) throws(WeightsError) {
        guard tensor.shape.count == 2, tensor.shape.allSatisfy({ $0 > 0 }) else {
            throw tensor.error("has shape \(tensor.shape), should have two axes")
        }
        if let type, tensor.type != type {
            throw tensor.error("is of type \(tensor.type.rawValue), should be \(type.rawValue)")
        }
    }

    // MARK: - Formats

    private func bytes(
        _ base: String, _ codes: StoredTensor, _ layout: CodedTensor.Codes, _ zeros: CodedTensor.Zeros,
        _ block: (rows: Int, columns: Int)?
    ) throws(WeightsError) -> CodedTensor {
        try expectMatrix(codes)
        let (rows, columns) = (codes.shape[0], codes.shape[1])
        let scales = try scales(base, ["weight_scale_inv", "weight_scale"], beside: codes)
        let size: (rows: Int, columns: Int)
        if scales.shape.reduce(1, *) == 1 {
            size = (rows, columns)
        } else if scales.shape == [rows] || scales.shape == [rows, 1] {
            size = (1, columns)
        } else {
            size = block ?? (1, columns)
            try scales.expect([(rows + size.rows - 1) / size.rows, (columns + size.columns - 1) / size.columns])
        }
        return CodedTensor(
            codes: codes, layout: layout, zeros: zeros, scales: scales, shape: (rows, columns), block: size)
    }

    /// compressed-tensors' bytes.
    private func bytes(
        _ base: String, _ codes: StoredTensor, _ block: (rows: Int, columns: Int)?, _ group: Int?, _ isSymmetric: Bool
    ) throws(WeightsError) -> CodedTensor {
        let size = block ?? group.map { (1, $0) }
        guard codes.type == .int8 else { return try bytes(base, codes, .float8, .all(0), size) }
        let symmetric = try bytes(base, codes, .signedBytes, .all(128), size)
        guard !isSymmetric else { return symmetric }
        let tensor = try companion(base, "weight_zero_point", beside: codes)
        guard tensor.type == .int8 else {
            throw tensor.error("is of type \(tensor.type.rawValue), should be I8")
        }
        try tensor.expect(symmetric.scales.shape)
        return try bytes(base, codes, .signedBytes, .signedBytes(tensor), size)
    }

    /// compressed-tensors' words.
    private func packed(
        _ base: String, _ codes: StoredTensor, _ bits: Int, _ group: Int?, _ isSymmetric: Bool
    ) throws(WeightsError) -> CodedTensor {
        try expectMatrix(codes, .int32)
        let shape = try companion(base, "weight_shape", beside: codes)
        let sizes = try shape.integers()
        guard sizes.count == 2, sizes[0] == codes.shape[0], sizes[1] > 0,
            sizes[1] <= 1 << 32, (sizes[1] * bits + 31) / 32 == codes.shape[1]
        else { throw shape.error("is \(sizes), which \(codes.shape) words of 32 bits don't hold") }
        let (rows, columns) = (sizes[0], sizes[1])
        guard tensors["\(base).weight_g_idx"] == nil else {
            throw try companion(base, "weight_g_idx", beside: codes).error("isn't supported")
        }
        let size = group ?? columns
        let scales = try scales(base, ["weight_scale"], beside: codes)
        let groups = (columns + size - 1) / size
        try scales.expect([rows, groups])
        var zeros = CodedTensor.Zeros.all(Float(1 << (bits - 1)))
        if !isSymmetric {
            let tensor = try companion(base, "weight_zero_point", beside: codes)
            guard tensor.type == .int32 else {
                throw tensor.error("is of type \(tensor.type.rawValue), should be I32")
            }
            try tensor.expect([(rows * bits + 31) / 32, groups])
            zeros = .wordsOfGroups(tensor, bits: bits)
        }
        return CodedTensor(
            codes: codes, layout: .words(bits: bits), zeros: zeros, scales: scales, shape: (rows, columns),
            block: (1, size))
    }

    private func awq(_ base: String, _ codes: StoredTensor, _ group: Int) throws(WeightsError) -> CodedTensor {
        try expectMatrix(codes, .int32)
        let (rows, columns) = (codes.shape[1] * 8, codes.shape[0])
        let (size, scales, zeros) = try groups(base, codes, group, columns: columns, rows: rows, bits: 4)
        return CodedTensor(
            codes: codes, layout: .wordsOfOutputs, zeros: .awq(zeros), scales: scales, shape: (rows, columns),
            block: (1, size), hasScalesByInputs: true)
    }

    private func gptq(
        _ base: String, _ codes: StoredTensor, _ bits: Int, _ group: Int, _ added: Int
    ) throws(WeightsError) -> CodedTensor {
        try expectMatrix(codes, .int32)
        let (rows, columns) = (codes.shape[1], codes.shape[0] * 32 / bits)
        let (size, scales, zeros) = try groups(base, codes, group, columns: columns, rows: rows, bits: bits)
        return CodedTensor(
            codes: codes, layout: .wordsOfInputs(bits: bits), zeros: .words(zeros, bits: bits, added: added),
            scales: scales, shape: (rows, columns), block: (1, size), hasScalesByInputs: true,
            groups: try permutedGroups(base, columns, size, scales.shape[0]))
    }

    /// Inputs of a group, and groups' scales and packed zero points: [groups, rows], the latter in words of 32 bits.
    ///
    /// - Parameter group: -1 for all inputs.
    private func groups(
        _ base: String, _ codes: StoredTensor, _ group: Int, columns: Int, rows: Int, bits: Int
    ) throws(WeightsError) -> (size: Int, scales: StoredTensor, zeros: StoredTensor) {
        let size = group == -1 ? columns : group
        let (scales, zeros) = (
            try scales(base, ["scales"], beside: codes), try companion(base, "qzeros", beside: codes)
        )
        try expectMatrix(zeros, .int32)
        let groups = (columns + size - 1) / size
        try scales.expect([groups, rows])
        try zeros.expect([groups, (rows * bits + 31) / 32])
        return (size, scales, zeros)
    }

    /// The group of each input, if they aren't in order.
    private func permutedGroups(
        _ base: String, _ columns: Int, _ size: Int, _ count: Int
    ) throws(WeightsError) -> [Int32]? {
        guard let tensor = tensors["\(base).g_idx"] else { return nil }
        try tensor.expect([columns])
        let groups = try tensor.integers()
        guard groups.allSatisfy({ 0..<count ~= $0 }) else {
            throw tensor.error("names a group that isn't among the \(count) that there are")
        }
        guard groups.enumerated().contains(where: { $0.element != $0.offset / size }) else { return nil }
        return groups.map { Int32($0) }
    }
}

/// A matrix of codes with scales, and zeros: (code − zero) · scale.
///
/// The formulas are those of the formats' own documents: DeepSeek-V3's FP8, AutoAWQ's GEMM, AutoGPTQ's version 1 and 2,
/// and compressed-tensors.
struct CodedTensor: PackedNumbers {
    /// How codes lie in their tensor.
    enum Codes: Sendable {
        /// [out, in], a byte each.
        case float8
        case signedBytes
        /// [out, in · bits / 32]: words of neighbouring inputs, the lowest bits first.
        case words(bits: Int)
        /// [in · bits / 32, out]: GPTQ's words.
        case wordsOfInputs(bits: Int)
        /// [in, out / 8]: AWQ's words of neighbouring outputs, in an order of its own.
        case wordsOfOutputs
    }

    /// What codes are counted from.
    enum Zeros: Sendable {
        case all(Float)
        /// [out, groups] of bytes.
        case signedBytes(StoredTensor)
        /// [groups, out · bits / 32] by words, and what is added.
        case words(StoredTensor, bits: Int, added: Int)
        /// [out · bits / 32, groups].
        case wordsOfGroups(StoredTensor, bits: Int)
        /// [groups, out / 8], in AWQ's order.
        case awq(StoredTensor)
    }

    let codes: StoredTensor
    let layout: Codes
    let zeros: Zeros
    let scales: StoredTensor
    let shape: (rows: Int, columns: Int)
    /// Outputs, and inputs, that share a scale.
    let block: (rows: Int, columns: Int)
    /// Whether scales are [groups of inputs, groups of outputs], and not the other way round.
    var hasScalesByInputs = false
    /// The group of each input, where groups aren't neighbours.
    var groups: [Int32]?

    private var scaleRows: Int { (shape.rows + block.rows - 1) / block.rows }
    private var scaleColumns: Int { (shape.columns + block.columns - 1) / block.columns }

    private var code: CodeGroups.Code {
        switch layout {
        case .float8: .float8
        case .signedBytes: .eightBits
        case .words(let bits), .wordsOfInputs(let bits): bits == 4 ? .fourBits : .eightBits
        case .wordsOfOutputs: .fourBits
        }
    }

    var bytesPerNumber: Double { Double(code == .fourBits ? 1 : 2) / 2 }

    /// By groups as the scales have them, or by lesser ones where some columns end within one.
    func format(columns: Range<Int>) -> RowFormat? {
        guard groups == nil, !columns.isEmpty else { return nil }
        let isOne = group(columns.lowerBound) == group(columns.upperBound - 1)
        let size =
            isOne
            ? columns.count
            : greatestCommonDivisor(greatestCommonDivisor(block.columns, columns.lowerBound), columns.count)
        guard size.isMultiple(of: code.unit) else { return nil }
        return .groups(CodeGroups(code: code, size: size))
    }

    func copy(
        _ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutableRawPointer
    ) throws(WeightsError) {
        guard case .groups(let format) = format(columns: columns) else {
            preconditionFailure("columns that cut groups")
        }
        try expectNumbers(tensor, row: row, columns: columns)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: format.size) { buffer in
            guard let bytes = buffer.baseAddress else { return }
            for index in 0..<columns.count / format.size {
                let first = columns.lowerBound + index * format.size
                for i in 0..<format.size { bytes[i] = code(row, first + i) }
                format.pack(
                    scale: scale(row, group(first)), zero: zero(row, group(first)), codes: bytes,
                    into: target + index * format.byteCount)
            }
        }
    }

    func widen(_ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        for column in columns {
            let (code, group) = (code(row, column), group(column))
            let number = self.code == .float8 ? CodeGroups.float8(code) : Float(code) - zero(row, group)
            target[column - columns.lowerBound] = scale(row, group) * number
        }
    }

    func expectNumbers(_ tensor: StoredTensor, row: Int, columns: Range<Int>) throws(WeightsError) {
        let isPermuted = groups != nil
        let all = isPermuted ? 0..<scaleColumns : group(columns.lowerBound)..<group(columns.upperBound - 1) + 1
        for group in all where !scale(row, group).isFinite {
            throw scales.error("has a scale of output \(row) that is no finite number: the file is damaged")
        }
    }

    func release(rows: Range<Int>) -> Bool {
        switch layout {
        case .float8, .signedBytes, .words: codes.release(rows: rows)
        case .wordsOfInputs, .wordsOfOutputs: codes.release(rows: 0..<codes.shape[0])
        }
        return true
    }

    // MARK: - One number

    private func group(_ column: Int) -> Int { groups.map { Int($0[column]) } ?? column / block.columns }

    private func scale(_ row: Int, _ group: Int) -> Float {
        let row = row / block.rows
        let index = hasScalesByInputs ? group * scaleRows + row : row * scaleColumns + group
        let start = scales.bytes
        return switch scales.type {
        case .float32: start.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
        case .bfloat16: BFloat16.float(start.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        default: Float(start.loadUnaligned(fromByteOffset: 2 * index, as: Float16.self))
        }
    }

    /// A code, of numbers with a sign plus 128.
    private func code(_ row: Int, _ column: Int) -> UInt8 {
        switch layout {
        case .float8: codes.bytes[row * shape.columns + column]
        case .signedBytes: codes.bytes[row * shape.columns + column] ^ 0x80
        case .words(let bits): Self.part(codes, row, column, bits)
        case .wordsOfInputs(let bits):
            Self.bits(codes, column * bits / 32 * shape.rows + row, column * bits % 32, bits)
        case .wordsOfOutputs: Self.bits(codes, column * (shape.rows / 8) + row / 8, Self.awqShift(row), 4)
        }
    }

    private func zero(_ row: Int, _ group: Int) -> Float {
        switch zeros {
        case .all(let zero): zero
        case .signedBytes(let tensor): Float(tensor.bytes[row / block.rows * scaleColumns + group] ^ 0x80)
        case .words(let tensor, let bits, let added): Float(Int(Self.part(tensor, group, row, bits)) + added)
        case .wordsOfGroups(let tensor, let bits):
            Float(Self.bits(tensor, row * bits / 32 * scaleColumns + group, row * bits % 32, bits))
        case .awq(let tensor):
            Float(Self.bits(tensor, group * (shape.rows / 8) + row / 8, Self.awqShift(row), 4))
        }
    }

    /// Of each eight outputs the even ones come first.
    private static func awqShift(_ output: Int) -> Int { 4 * (output % 8 / 2 + output % 2 * 4) }

    /// The number at `index` of a row of words.
    private static func part(_ tensor: StoredTensor, _ row: Int, _ index: Int, _ bits: Int) -> UInt8 {
        self.bits(tensor, row * tensor.shape[1] + index * bits / 32, index * bits % 32, bits)
    }

    private static func bits(_ tensor: StoredTensor, _ word: Int, _ shift: Int, _ bits: Int) -> UInt8 {
        let word = tensor.bytes.loadUnaligned(fromByteOffset: 4 * word, as: UInt32.self)
        return UInt8(truncatingIfNeeded: word >> UInt32(shift)) & UInt8(truncatingIfNeeded: (1 << bits) - 1)
    }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }

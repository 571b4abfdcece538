/// How a tensor's numbers are stored, by safetensors' names.
public enum TensorType: String, CaseIterable, Sendable {
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case int64 = "I64"
    case int32 = "I32"
    case uint8 = "U8"
    case int8 = "I8"
    /// Four bits of exponent and three of fraction, which are numbers with a scale beside them alone.
    case float8 = "F8_E4M3"
    case bool = "BOOL"

    public var byteCount: Int {
        switch self {
        case .int64: 8
        case .float32, .int32: 4
        case .float16, .bfloat16: 2
        case .uint8, .int8, .float8, .bool: 1
        }
    }

    public var isFloatingPoint: Bool { [.float32, .float16, .bfloat16].contains(self) }
}

/// Why weights can't be used: the file, the tensor and what is wrong with it.
public struct WeightsError: Error, Equatable, CustomStringConvertible {
    public let file: String
    public let tensor: String?
    public let message: String

    public init(_ file: String, tensor: String? = nil, _ message: String) {
        self.file = file
        self.tensor = tensor
        self.message = message
    }

    public var description: String { "\(file): \(tensor.map { "tensor '\($0)' " } ?? "")\(message)" }
}

/// A tensor in a mapped file: nothing of it is read until it is asked for.
public struct StoredTensor: Sendable {
    public let name: String
    public let type: TensorType
    public let shape: [Int]
    let file: MappedFile
    let range: Range<Int>
    /// How numbers are packed, if they are; the type is that of bytes then.
    var packing: (any PackedNumbers)?

    /// Whether it holds numbers that `widen` reads.
    public var isFloatingPoint: Bool { packing != nil || type.isFloatingPoint }

    /// Whether numbers are packed.
    public var isPacked: Bool { packing != nil }

    public var path: String { file.path }

    /// The bytes as they are stored, valid while this tensor is.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

    /// Bytes that a number takes in the file, on average.
    public var bytesPerNumber: Double {
        packing?.bytesPerNumber ?? Double(type.byteCount)
    }

    /// Whether it stands before another one: in the same file, or in one of a lesser name.
    public func precedes(_ other: StoredTensor) -> Bool {
        (path, range.lowerBound) < (other.path, other.range.lowerBound)
    }

    /// Lets go of the pages of some rows, of the product of all axes but the last: they are read again if they are
    /// asked for.
    public func release(rows: Range<Int>) {
        let height = shape.dropLast().reduce(1, *)
        precondition(rows.upperBound <= max(1, height))
        if let packing, packing.release(rows: rows) { return }
        let rowBytes = range.count / max(1, height)
        file.release(range.lowerBound + rows.lowerBound * rowBytes..<range.lowerBound + rows.upperBound * rowBytes)
    }

    /// The same numbers as a vector.
    var flattened: StoredTensor {
        StoredTensor(
            name: name, type: type, shape: [shape.reduce(1, *)], file: file, range: range, packing: packing)
    }

    /// Checks the shape.
    public func expect(_ shape: [Int]) throws(WeightsError) {
        guard self.shape == shape else { throw error("has shape \(self.shape), should have \(shape)") }
    }

    public func error(_ message: String) -> WeightsError { WeightsError(path, tensor: name, message) }

    /// Copies some rows and columns of a matrix (of a vector: columns of its one row), converted to float32.
    ///
    /// Only the bytes of these rows are read.
    public func copy(
        rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int
    ) throws(WeightsError) {
        let width = shape.last ?? 1
        let height = shape.dropLast().reduce(1, *)
        precondition(rows.upperBound <= height && columns.upperBound <= width)
        guard isFloatingPoint else { throw error("is of type \(type.rawValue), should be F32, BF16 or F16") }
        for (i, row) in rows.enumerated() { widen(row: row, columns: columns, into: target + i * stride) }
    }

    /// Copies some columns of a row of a floating-point matrix, converted to float32.
    public func widen(row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        guard let start = bytes.baseAddress else { return }
        if let packing { return packing.widen(self, row: row, columns: columns, into: target) }
        let source = start + (row * (shape.last ?? 1) + columns.lowerBound) * type.byteCount
        switch type {
        case .float32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: columns.count * 4)
        case .bfloat16: BFloat16.widen(source, into: target, count: columns.count)
        case .float16:
            for i in 0..<columns.count {
                target[i] = Float(source.loadUnaligned(fromByteOffset: 2 * i, as: Float16.self))
            }
        default: preconditionFailure("numbers of type \(type.rawValue) can't be widened")
        }
    }

    /// How some columns lie in memory if they stay as they are stored; nil where that cuts what is packed together.
    public func format(columns: Range<Int>) -> RowFormat? {
        if let packing { return packing.format(columns: columns) }
        return type.isFloatingPoint && columns.count.isMultiple(of: 16) ? .plain(type) : nil
    }

    /// Checks that the scales of some columns of a row are numbers, if there are any.
    public func expectNumbers(row: Int, columns: Range<Int>) throws(WeightsError) {
        try packing?.expectNumbers(self, row: row, columns: columns)
    }

    /// Copies some columns of a row as they are stored, in their `format`.
    ///
    /// - Throws: `WeightsError` if a scale among them is no number.
    public func copyStored(
        row: Int, columns: Range<Int>, into target: UnsafeMutableRawPointer
    ) throws(WeightsError) {
        if let packing { return try packing.copy(self, row: row, columns: columns, into: target) }
        guard let start = bytes.baseAddress else { return }
        target.copyMemory(
            from: start + (row * (shape.last ?? 1) + columns.lowerBound) * type.byteCount,
            byteCount: columns.count * type.byteCount)
    }

    /// Copies some elements of a floating-point tensor that isn't packed, counted over all rows, converted to float32.
    public func widen(elements: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        precondition(packing == nil && elements.upperBound <= shape.reduce(1, *))
        widen(row: 0, columns: elements, into: target)
    }

    /// The same as `widen(row:columns:into:)`, converted to bfloat16: to nearest, ties to even.
    public func round(row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        if type == .bfloat16, let start = bytes.baseAddress {
            let source = start + (row * (shape.last ?? 1) + columns.lowerBound) * 2
            return UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: columns.count * 2)
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns.count) { wide in
            guard let start = wide.baseAddress else { return }
            widen(row: row, columns: columns, into: start)
            BFloat16.round(start, into: target, count: columns.count)
        }
    }

    /// All numbers of a floating-point tensor, as float32.
    public func floats() throws(WeightsError) -> [Float] {
        var result = [Float](repeating: 0, count: shape.reduce(1, *))
        let (height, width) = (shape.dropLast().reduce(1, *), shape.last ?? 1)
        let copied = result.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(WeightsError) in
                guard let start = buffer.baseAddress else { return }
                try copy(rows: 0..<height, columns: 0..<width, into: start, stride: width)
            }
        }
        try copied.get()
        return result
    }

    /// All numbers of an integer or boolean tensor.
    public func integers() throws(WeightsError) -> [Int] {
        let count = shape.reduce(1, *)
        let bytes = bytes
        return switch type {
        case .int64: (0..<count).map { Int(bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
        case .int32: (0..<count).map { Int(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
        case .uint8, .bool: bytes.map { Int($0) }
        case .int8: bytes.map { Int(Int8(bitPattern: $0)) }
        default: throw error("is of type \(type.rawValue), should be of integers")
        }
    }
}

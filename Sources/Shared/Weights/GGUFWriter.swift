/// Writes a GGUF file of version 3: its metadata, and tensors piece by piece in the order in which they were announced.
///
/// What isn't given yet isn't held either, so the memory is that of a piece, whatever the file's size.
public struct GGUFWriter {
    /// How a tensor's elements are stored, and its number in ggml.
    public enum Format: UInt32, Sendable {
        case float32 = 0
        case float16 = 1
        /// Blocks of 32 elements with one scale of float16: d = max |x| / 127, rounded to nearest, halves away from 0.
        case q8_0 = 8
        case int64 = 27
        case bfloat16 = 30

        /// Elements that are stored together.
        fileprivate var blockSize: Int { self == .q8_0 ? 32 : 1 }

        fileprivate func byteCount(_ count: Int) -> Int {
            switch self {
            case .float32: 4 * count
            case .float16, .bfloat16: 2 * count
            case .int64: 8 * count
            case .q8_0: count / 32 * 34
            }
        }

        /// Whether rows of this length can be stored.
        public func holds(rowsOf columns: Int) -> Bool { columns.isMultiple(of: blockSize) }
    }

    public struct Entry: Sendable {
        public let name: String
        public let format: Format
        /// As safetensors have it: the last axis is that of neighbours.
        public let shape: [Int]

        public init(name: String, format: Format, shape: [Int]) {
            precondition(format.holds(rowsOf: shape.last ?? 1))
            (self.name, self.format, self.shape) = (name, format, shape)
        }

        public var byteCount: Int { format.byteCount(shape.reduce(1, *)) }
    }

    private let file: OutputFile
    private var remaining: ArraySlice<Entry>
    /// Bytes of the first remaining tensor that are written.
    private var written = 0

    private static let alignment = 32

    /// Creates the file and writes its head.
    ///
    /// - Parameter isNew: Whether it is an error if something has that name already.
    public init(
        _ path: String, _ metadata: GGUFMetadata, _ entries: [Entry], isNew: Bool = false
    ) throws(FileError) {
        file = try OutputFile(path, isNew: isNew)
        remaining = entries[...]
        var head = GGUFMetadata.Bytes("GGUF".utf8)
        head.append(UInt32(3))
        head.append(UInt64(entries.count))
        head.append(UInt64(metadata.count))
        head.bytes += metadata.entries.bytes
        var offset = 0
        for entry in entries {
            head.append(entry.name)
            head.append(UInt32(entry.shape.count))
            for size in entry.shape.reversed() { head.append(UInt64(size)) }
            head.append(entry.format.rawValue)
            head.append(UInt64(offset))
            offset += Self.padded(entry.byteCount)
        }
        let padding = Self.padded(head.bytes.count) - head.bytes.count
        try write(head.bytes + [UInt8](repeating: 0, count: padding))
    }

    /// Writes the next tensor, or the next piece of it, from float32, in the format that was announced.
    ///
    /// - Parameter values: Whole blocks, if the format has blocks.
    public mutating func append(_ values: UnsafeBufferPointer<Float>) throws(FileError) {
        guard let entry = remaining.first else { preconditionFailure("more tensors than announced") }
        precondition(values.count.isMultiple(of: entry.format.blockSize))
        switch entry.format {
        case .float32: try append(values.map(\.bitPattern.littleEndian), of: entry)
        case .float16: try append(values.map { Float16($0).bitPattern.littleEndian }, of: entry)
        case .bfloat16: try append(values.map { BFloat16.bits($0).littleEndian }, of: entry)
        case .q8_0: try append(Self.packed(values), of: entry)
        case .int64: preconditionFailure("'\(entry.name)' is of integers")
        }
    }

    /// Writes the next tensor, or the next piece of it, as it is stored.
    public mutating func append<Number: BitwiseCopyable>(stored values: [Number]) throws(FileError) {
        guard let entry = remaining.first else { preconditionFailure("more tensors than announced") }
        try append(values, of: entry)
    }

    /// Waits until the file is on the disk.
    public func finish() throws(FileError) {
        precondition(remaining.isEmpty, "fewer tensors than announced")
        try file.finish()
    }

    private mutating func append<Number: BitwiseCopyable>(_ values: [Number], of entry: Entry) throws(FileError) {
        written += values.count * MemoryLayout<Number>.stride
        precondition(written <= entry.byteCount, "more of '\(entry.name)' than announced")
        try write(values)
        guard written == entry.byteCount else { return }
        try write([UInt8](repeating: 0, count: Self.padded(written) - written))
        remaining.removeFirst()
        written = 0
    }

    private func write<Number: BitwiseCopyable>(_ values: [Number]) throws(FileError) {
        let written = values.withUnsafeBytes { bytes in Result { () throws(FileError) in try file.write(bytes) } }
        try written.get()
    }

    private static func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    /// Blocks of Q8_0, as ggml's `quantize_row_q8_0_ref` makes them.
    private static func packed(_ values: UnsafeBufferPointer<Float>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count / 32 * 34)
        for start in stride(from: 0, to: values.count, by: 32) {
            let block = values[start..<start + 32]
            let scale = (block.map(abs).max() ?? 0) / 127
            // Of numbers so small that the inverse has no size, float16 has none but zero for their scale.
            let inverse = (1 / scale).isFinite ? 1 / scale : 0
            withUnsafeBytes(of: Float16(scale).bitPattern.littleEndian) { bytes += $0 }
            for value in block {
                bytes.append(UInt8(bitPattern: Int8((value * inverse).rounded(.toNearestOrAwayFromZero))))
            }
        }
        return bytes
    }
}

/// Metadata of a GGUF file to be written: keys and values of their exact types, which llama.cpp insists on.
public struct GGUFMetadata {
    public private(set) var count = 0
    fileprivate var entries = Bytes()

    public init() {}

    public mutating func append(_ key: String, _ value: UInt32) { append(key, type: 4) { $0.append(value) } }
    public mutating func append(_ key: String, _ value: Float) { append(key, type: 6) { $0.append(value.bitPattern) } }
    public mutating func append(_ key: String, _ value: Bool) {
        append(key, type: 7) { $0.bytes.append(value ? 1 : 0) }
    }
    public mutating func append(_ key: String, _ value: String) { append(key, type: 8) { $0.append(value) } }
    public mutating func append(_ key: String, _ values: [UInt32]) {
        append(key, of: 4, values) { $0.append($1) }
    }
    public mutating func append(_ key: String, _ values: [Int32]) {
        append(key, of: 5, values) { $0.append($1) }
    }
    public mutating func append(_ key: String, _ values: [Float]) {
        append(key, of: 6, values) { $0.append($1.bitPattern) }
    }
    public mutating func append(_ key: String, _ values: [String]) {
        append(key, of: 8, values) { $0.append($1) }
    }
    public mutating func append(_ key: String, _ texts: [[UInt8]]) {
        append(key, of: 8, texts) { bytes, text in
            bytes.append(UInt64(text.count))
            bytes.bytes += text
        }
    }

    /// Entries of another file, as `GGUFFile.entries` has them.
    public mutating func append(copied entries: [[UInt8]]) {
        count += entries.count
        for entry in entries { self.entries.bytes += entry }
    }

    public mutating func append(contentsOf other: GGUFMetadata) {
        count += other.count
        entries.bytes += other.entries.bytes
    }

    private mutating func append(_ key: String, type: UInt32, _ value: (inout Bytes) -> Void) {
        count += 1
        entries.append(key)
        entries.append(type)
        value(&entries)
    }

    private mutating func append<T>(
        _ key: String, of type: UInt32, _ values: [T], _ value: (inout Bytes, T) -> Void
    ) {
        append(key, type: 9) { bytes in
            bytes.append(type)
            bytes.append(UInt64(values.count))
            for element in values { value(&bytes, element) }
        }
    }

    /// Little-endian numbers, and texts with their lengths.
    fileprivate struct Bytes {
        var bytes: [UInt8]

        init(_ bytes: some Sequence<UInt8> = []) { self.bytes = Array(bytes) }

        mutating func append(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
        }

        mutating func append(_ text: String) {
            append(UInt64(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        }
    }
}

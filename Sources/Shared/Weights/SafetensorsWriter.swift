/// Writes a safetensors file, tensor by tensor, in the order in which they were announced.
public struct SafetensorsWriter {
    public struct Entry: Sendable {
        public let name: String
        public let type: TensorType
        public let shape: [Int]

        public init(name: String, type: TensorType, shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }

        public var byteCount: Int { shape.reduce(type.byteCount, *) }
    }

    private let file: OutputFile
    private var remaining: ArraySlice<Entry>
    /// Bytes of the first remaining tensor that are written.
    private var written = 0

    /// Creates the file and writes its header.
    public init(_ path: String, _ entries: [Entry], metadata: [String: String] = ["format": "pt"]) throws(FileError) {
        file = try OutputFile(path)
        remaining = entries[...]
        var offset = 0
        var members: [(String, JSONText)] = [
            ("__metadata__", .object(metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        ]
        for entry in entries {
            let end = offset + entry.byteCount
            members.append(
                (
                    entry.name,
                    .object([
                        ("dtype", .string(entry.type.rawValue)), ("shape", .array(entry.shape.map(JSONText.int))),
                        ("data_offsets", .array([.int(offset), .int(end)])),
                    ])
                ))
            offset = end
        }
        var header = Array(JSONText.object(members).compact.utf8)
        header += [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8)
        let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
        try write(length + header)
    }

    /// Writes the next tensor, or the next piece of it, from float32, in the type that was announced: F32, F16 or BF16.
    public mutating func append(_ values: UnsafeBufferPointer<Float>) throws(FileError) {
        guard let entry = remaining.first else { preconditionFailure("more tensors than announced") }
        written += values.count * entry.type.byteCount
        precondition(written <= entry.byteCount)
        if written == entry.byteCount {
            remaining.removeFirst()
            written = 0
        }
        if entry.type == .float32 { return try file.write(UnsafeRawBufferPointer(values)) }
        precondition(entry.type.isFloatingPoint)
        let piece = 1 << 16
        for start in stride(from: 0, to: values.count, by: piece) {
            let part = values[start..<min(start + piece, values.count)]
            if entry.type == .bfloat16 {
                try write(part.map { BFloat16.bits($0).littleEndian })
            } else {
                try write(part.map { Float16($0).bitPattern.littleEndian })
            }
        }
    }

    /// Writes the next tensor's bytes as they are.
    public mutating func append<Number: BitwiseCopyable>(_ values: [Number]) throws(FileError) {
        guard let entry = remaining.popFirst() else { preconditionFailure("more tensors than announced") }
        precondition(values.count * MemoryLayout<Number>.stride == entry.byteCount)
        try write(values)
    }

    /// Waits until the file is on the disk.
    public func finish() throws(FileError) {
        precondition(remaining.isEmpty, "fewer tensors than announced")
        try file.finish()
    }

    private func write<Number: BitwiseCopyable>(_ values: [Number]) throws(FileError) {
        let written = values.withUnsafeBytes { bytes in Result { () throws(FileError) in try file.write(bytes) } }
        try written.get()
    }
}

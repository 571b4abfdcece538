/// Matrices of as many rows, side by side, in the bytes of a `FeatureStore`'s record.
///
///     v         format, 1
///     v         bytes of a number: 2 for bfloat16, 4 for float32
///     v         rows
///     v         columns of all matrices together
///     v, frame  the exponents of all numbers, row by row, as one zstd frame, and its size before it
///     planes    all other bits, a byte of each number, the highest byte's plane first
///     8 bytes   the low half of the XXH3-128 of all before, little-endian
///
/// A number's bits are rotated left by one, so that its exponent is a byte: those compress to less than half, signs
/// and fractions not at all.
public enum FeatureRecord {
    /// How numbers are kept.
    public enum NumberType: String, CaseIterable, OptionValue {
        case bfloat16, float32

        public var byteCount: Int { self == .bfloat16 ? 2 : 4 }
    }

    /// Where a matrix of floats lies, row by row.
    public struct Part {
        let start: UnsafeMutablePointer<Float>
        let rows: Int
        let columns: Int
        let stride: Int

        /// - Parameter stride: Floats between the starts of two rows.
        public init(start: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int) {
            (self.start, self.rows, self.columns, self.stride) = (start, rows, columns, stride)
        }
    }

    private static let format = 1
    private static let digestSize = 8
    /// zstd's fastest ordinary one.
    private static let compressionLevel = 1

    public static func encode(_ parts: [Part], _ type: NumberType) -> [UInt8] {
        let (rows, columns) = shape(parts)
        let (count, size) = (rows * columns, type.byteCount)
        let exponents = [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            if let start = buffer.baseAddress { write(plane: 0, of: parts, type, to: start) }
            written = count
        }
        let frame = Compressor(level: compressionLevel).compress(exponents)
        var header = ByteWriter()
        for value in [format, size, rows, columns, frame.count] { header.varint(value) }
        let body = header.bytes.count + frame.count + (size - 1) * count
        return [UInt8](unsafeUninitializedCapacity: body + digestSize) { buffer, written in
            _ = buffer.update(fromContentsOf: header.bytes)
            _ = buffer[header.bytes.count...].update(fromContentsOf: frame)
            if let start = buffer.baseAddress {
                let planes = start + header.bytes.count + frame.count
                for plane in 1..<size { write(plane: plane, of: parts, type, to: planes + (plane - 1) * count) }
            }
            let digest = Digest(of: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<body])).low
            for i in 0..<digestSize { buffer[body + i] = UInt8(truncatingIfNeeded: digest >> (8 * UInt64(i))) }
            written = body + digestSize
        }
    }

    /// - Parameter parts: Of the record's shape; they are whatever they come to be if it is damaged.
    static func decode(
        _ record: UnsafeRawBufferPointer, _ type: NumberType, into parts: [Part]
    ) throws(DecodingFailure) {
        guard record.count > digestSize else { throw DecodingFailure("it has \(record.count) bytes") }
        let body = UnsafeRawBufferPointer(rebasing: record.dropLast(digestSize))
        let digest = record.loadUnaligned(fromByteOffset: body.count, as: UInt64.self)
        guard Digest(of: body).low == UInt64(littleEndian: digest) else {
            throw DecodingFailure("its digest doesn't fit")
        }
        let (rows, columns) = shape(parts)
        let (count, size) = (rows * columns, type.byteCount)
        var reader = ByteReader(body)
        try reader.expect(format, "its format")
        try reader.expect(size, "the bytes of a number")
        try reader.expect(rows, "its rows")
        try reader.expect(columns, "its columns")
        let frameSize = try reader.count("the size of its exponents")
        let rest = body[reader.position...]
        let exponents = try exponents(UnsafeRawBufferPointer(rebasing: rest.prefix(frameSize)), count)
        let planes = UnsafeRawBufferPointer(rebasing: rest.dropFirst(frameSize))
        guard planes.count == (size - 1) * count else {
            throw DecodingFailure("\(planes.count) bytes follow its exponents, should be \((size - 1) * count)")
        }
        exponents.withUnsafeBytes { exponents in
            guard let first = exponents.baseAddress, let others = planes.baseAddress else { return }
            read(
                first.assumingMemoryBound(to: UInt8.self), others.assumingMemoryBound(to: UInt8.self), count, type,
                into: parts)
        }
    }

    private static func exponents(
        _ frame: UnsafeRawBufferPointer, _ count: Int
    ) throws(DecodingFailure) -> [UInt8] {
        let exponents: [UInt8]
        do throws(ZstandardError) {
            exponents = try Decompressor().content(of: frame, limit: count)
        } catch {
            throw DecodingFailure("its exponents: \(error.message)")
        }
        guard exponents.count == count else {
            throw DecodingFailure("it has \(exponents.count) exponents, should be \(count)")
        }
        return exponents
    }

    /// Rows, and columns of all parts.
    private static func shape(_ parts: [Part]) -> (rows: Int, columns: Int) {
        let rows = parts.first?.rows ?? 0
        precondition(parts.allSatisfy { $0.rows == rows })
        return (rows, parts.reduce(0) { $0 + $1.columns })
    }

    // MARK: - Planes

    /// Each row of each part, and the place of its first number among all.
    @inline(__always) private static func forEachRow(
        _ parts: [Part], _ body: (_ numbers: UnsafeMutablePointer<Float>, _ count: Int, _ place: Int) -> Void
    ) {
        var place = 0
        for row in 0..<shape(parts).rows {
            for part in parts {
                body(part.start + row * part.stride, part.columns, place)
                place += part.columns
            }
        }
    }

    private static func write(
        plane: Int, of parts: [Part], _ type: NumberType, to bytes: UnsafeMutablePointer<UInt8>
    ) {
        forEachRow(parts) { numbers, count, place in
            let bytes = bytes + place
            switch type {
            case .bfloat16:
                let shift = UInt16(8 * (1 - plane))
                for i in 0..<count {
                    let bits = BFloat16.bits(numbers[i])
                    bytes[i] = UInt8(truncatingIfNeeded: (bits &<< 1 | bits &>> 15) &>> shift)
                }
            case .float32:
                let shift = UInt32(8 * (3 - plane))
                for i in 0..<count {
                    let bits = numbers[i].bitPattern
                    bytes[i] = UInt8(truncatingIfNeeded: (bits &<< 1 | bits &>> 31) &>> shift)
                }
            }
        }
    }

    private static func read(
        _ exponents: UnsafePointer<UInt8>, _ planes: UnsafePointer<UInt8>, _ count: Int, _ type: NumberType,
        into parts: [Part]
    ) {
        let (second, third) = (planes + count, planes + 2 * count)
        forEachRow(parts) { numbers, columns, place in
            switch type {
            case .bfloat16:
                for i in 0..<columns {
                    let bits = UInt16(exponents[place + i]) &<< 8 | UInt16(planes[place + i])
                    numbers[i] = BFloat16.float(bits &>> 1 | bits &<< 15)
                }
            case .float32:
                for i in 0..<columns {
                    let high = UInt32(exponents[place + i]) &<< 24 | UInt32(planes[place + i]) &<< 16
                    let bits = high | UInt32(second[place + i]) &<< 8 | UInt32(third[place + i])
                    numbers[i] = Float(bitPattern: bits &>> 1 | bits &<< 31)
                }
            }
        }
    }
}

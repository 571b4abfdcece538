import Shared
import Synchronization

/// Matrices of as many rows, side by side, in the bytes of a `FeatureStore`'s record.
///
///     v         format, 2
///     v         bytes of a number: 2 for bfloat16, 4 for float32
///     v         rows
///     v         columns of all matrices together
///     v...      for each block of rows, the bytes of its frame
///     frames    for each block of rows, the exponents of its elements, row by row, as one zstd frame
///     planes    all other bits, a byte of each number, the highest byte's plane first
///     8 bytes   the low half of the XXH3-128 of all before, little-endian
///
/// A number's bits are rotated left by one, so that its exponent is a byte: those compress to less than half, signs
/// and fractions not at all. Blocks are read by as many threads as there are.
enum FeatureRecord {
    /// How elements are kept.
    enum NumberType: String, CaseIterable, OptionValue {
        case bfloat16, float32

        var byteCount: Int { self == .bfloat16 ? 2 : 4 }
    }

    /// Where a matrix of floats lies, row by row.
    struct Part {
        let start: UnsafeMutablePointer<Float>
        let rows: Int
        let columns: Int
        let stride: Int

        /// - Parameter stride: Floats between the starts of two rows.
        init(start: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int) {
            (self.start, self.rows, self.columns, self.stride) = (start, rows, columns, stride)
        }
    }

    private static let format = 2
    /// Numbers of a block of rows, rounded up to whole rows: bytes that zstd packs at a time.
    private static let blockNumbers = 1 << 17
    private static let digestSize = 8
    /// zstd's fastest ordinary one.
    private static let compressionLevel = 1

    static func encode(_ parts: [Part], _ type: NumberType) -> [UInt8] {
        let (rows, columns) = shape(parts)
        let (count, size) = (rows * columns, type.byteCount)
        let compressor = Compressor(level: compressionLevel)
        let frames = blocks(rows: rows, columns: columns).map { rows in
            compressor.compress(
                [UInt8](unsafeUninitializedCapacity: rows.count * columns) { buffer, written in
                    if let start = buffer.baseAddress { write(plane: 0, of: parts, rows, type, to: start) }
                    written = rows.count * columns
                })
        }
        var header = ByteWriter()
        for value in [format, size, rows, columns] + frames.map(\.count) { header.varint(value) }
        let start = header.bytes + frames.joined()
        let body = start.count + (size - 1) * count
        return [UInt8](unsafeUninitializedCapacity: body + digestSize) { buffer, written in
            _ = buffer.update(fromContentsOf: start)
            if let planes = buffer.baseAddress.map({ $0 + start.count }) {
                for plane in 1..<size {
                    write(plane: plane, of: parts, 0..<rows, type, to: planes + (plane - 1) * count)
                }
            }
            let digest = Digest(of: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<body])).low
            for i in 0..<digestSize { buffer[body + i] = UInt8(truncatingIfNeeded: digest >> (8 * UInt64(i))) }
            written = body + digestSize
        }
    }

    /// - Parameters:
    ///   - parts: Of the record's shape; they are whatever they come to be if it is damaged.
    ///   - forEach: Runs a closure for 0..<count, in any order and on any threads.
    static func decode(
        _ record: UnsafeRawBufferPointer, _ type: NumberType, into parts: [Part],
        forEach: (_ count: Int, _ body: (Int) -> Void) -> Void = { (0..<$0).forEach($1) }
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
        let blocks = blocks(rows: rows, columns: columns)
        var (ends, end) = ([Int](), 0)
        for _ in blocks {
            end += try reader.count("the size of its exponents")
            ends.append(end)
        }
        let rest = UnsafeRawBufferPointer(rebasing: body[reader.position...])
        guard rest.count == end + (size - 1) * count else {
            throw DecodingFailure("\(rest.count) bytes follow its sizes, should be \(end + (size - 1) * count)")
        }
        let failure = Mutex<DecodingFailure?>(nil)
        forEach(blocks.count) { index in
            let frame = UnsafeRawBufferPointer(rebasing: rest[(index > 0 ? ends[index - 1] : 0)..<ends[index]])
            let planes = UnsafeRawBufferPointer(rebasing: rest[end...])
            do throws(DecodingFailure) {
                let exponents = try exponents(frame, blocks[index].count * columns)
                read(exponents, planes, count, blocks[index], type, into: parts)
            } catch {
                failure.withLock { $0 = error }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    /// The rows whose exponents are a frame each.
    private static func blocks(rows: Int, columns: Int) -> [Range<Int>] {
        let size = columns > 0 ? (blockNumbers + columns - 1) / columns : max(1, rows)
        return (0..<rows).chunks(size)
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

    /// Some rows of each part, and the place of each one's first number among theirs.
    @inline(__always) private static func forEachRow(
        _ parts: [Part], _ rows: Range<Int>,
        _ body: (_ numbers: UnsafeMutablePointer<Float>, _ count: Int, _ place: Int) -> Void
    ) {
        var place = 0
        for row in rows {
            for part in parts {
                body(part.start + row * part.stride, part.columns, place)
                place += part.columns
            }
        }
    }

    private static func write(
        plane: Int, of parts: [Part], _ rows: Range<Int>, _ type: NumberType, to bytes: UnsafeMutablePointer<UInt8>
    ) {
        forEachRow(parts, rows) { numbers, count, place in
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

    /// - Parameters:
    ///   - exponents: Of the rows.
    ///   - planes: Of all rows, `count` elements.
    private static func read(
        _ exponents: [UInt8], _ planes: UnsafeRawBufferPointer, _ count: Int, _ rows: Range<Int>, _ type: NumberType,
        into parts: [Part]
    ) {
        guard let planes = planes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        let first = planes + rows.lowerBound * shape(parts).columns
        let (second, third) = (first + count, first + 2 * count)
        exponents.withUnsafeBufferPointer { exponents in
            guard let exponents = exponents.baseAddress else { return }
            read(exponents, first, second, third, rows, type, into: parts)
        }
    }

    private static func read(
        _ exponents: UnsafePointer<UInt8>, _ first: UnsafePointer<UInt8>, _ second: UnsafePointer<UInt8>,
        _ third: UnsafePointer<UInt8>, _ rows: Range<Int>, _ type: NumberType, into parts: [Part]
    ) {
        forEachRow(parts, rows) { numbers, columns, place in
            switch type {
            case .bfloat16:
                for i in 0..<columns {
                    let bits = UInt16(exponents[place + i]) &<< 8 | UInt16(first[place + i])
                    numbers[i] = BFloat16.float(bits &>> 1 | bits &<< 15)
                }
            case .float32:
                for i in 0..<columns {
                    let high = UInt32(exponents[place + i]) &<< 24 | UInt32(first[place + i]) &<< 16
                    let bits = high | UInt32(second[place + i]) &<< 8 | UInt32(third[place + i])
                    numbers[i] = Float(bitPattern: bits &>> 1 | bits &<< 31)
                }
            }
        }
    }
}

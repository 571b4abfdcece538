import CMachine

/// How the numbers of a weight's row lie in memory, where it stays as a file holds it.
public enum RowFormat: Hashable, Sendable {
    case plain(TensorType)
    case blocks(BlockQuantization)
    case groups(CodeGroups)

    /// Numbers that are packed together: a row has a multiple of them.
    public var blockSize: Int {
        switch self {
        case .plain: 16
        case .blocks(let quantization): quantization.size
        case .groups(let groups): groups.size
        }
    }

    /// Bytes of a block.
    public var blockBytes: Int {
        switch self {
        case .plain(let type): 16 * type.byteCount
        case .blocks(let quantization): quantization.byteCount
        case .groups(let groups): groups.byteCount
        }
    }

    /// Whether it takes fewer bytes than plain numbers would.
    public var isPacked: Bool { if case .plain = self { false } else { true } }

    /// Bytes of a number of columns, a multiple of the block's.
    public func byteCount(columns: Int) -> Int { columns / blockSize * blockBytes }

    /// Unpacks whole blocks of a row, `count` numbers.
    public func unpack(_ row: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<Float>) {
        var sink = FloatSink(target)
        unpack(row, count, into: &sink)
    }

    /// The same, rounded to bfloat16.
    public func unpack(_ row: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<UInt16>) {
        var sink = BFloat16Sink(target)
        unpack(row, count, into: &sink)
    }

    @inline(__always) func unpack(_ row: UnsafeRawPointer, _ count: Int, into sink: inout some NumberSink) {
        switch self {
        case .plain(let type): Self.plain(row, type, count, into: &sink)
        case .blocks(let quantization): quantization.unpack(row, count: count / quantization.size, into: &sink)
        case .groups(let groups): groups.unpack(row, count: count / groups.size, into: &sink)
        }
    }

    @inline(__always) private static func plain(
        _ row: UnsafeRawPointer, _ type: TensorType, _ count: Int, into sink: inout some NumberSink
    ) {
        for i in stride(from: 0, to: count, by: 16) {
            switch type {
            case .bfloat16:
                let bits = (row + 2 * i).loadUnaligned(as: SIMD16<UInt16>.self)
                let wide = machine_words_of_halves(bits)
                sink.put(unsafeBitCast(wide &<< 16, to: SIMD16<Float>.self))
            case .float16:
                let halves = (row + 2 * i).loadUnaligned(as: SIMD16<Float16>.self)
                sink.put(
                    SIMD16<Float>(lowHalf: SIMD8<Float>(halves.lowHalf), highHalf: SIMD8<Float>(halves.highHalf)))
            case .float32: sink.put((row + 4 * i).loadUnaligned(as: SIMD16<Float>.self))
            default: preconditionFailure("numbers of type \(type.rawValue) can't be unpacked")
            }
        }
    }
}

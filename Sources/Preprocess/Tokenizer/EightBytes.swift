/// Eight bytes of text, looked at as one number: which of them are ASCII or letters of it.
///
/// The answers have the high bit of each such byte set. Seven bits and a constant that carries into the eighth compare
/// all bytes at once (Warren, Hacker's Delight, 2nd edition, chapter 6).
struct EightBytes {
    private let bytes: UInt64

    static let high: UInt64 = 0x8080_8080_8080_8080
    private static let ones: UInt64 = 0x0101_0101_0101_0101

    /// - Parameter start: The first of eight readable bytes.
    @inline(__always)
    init(_ start: UnsafePointer<UInt8>) { bytes = UnsafeRawPointer(start).loadUnaligned(as: UInt64.self) }

    var areASCII: Bool {
        @inline(__always) get { bytes & Self.high == 0 }
    }

    var letters: UInt64 {
        @inline(__always) get { Self.within("a", "z", bytes | Self.ones &* 0x20) & ~bytes }
    }

    var capitals: UInt64 {
        @inline(__always) get { Self.within("A", "Z", bytes) & ~bytes }
    }

    var smallLetters: UInt64 {
        @inline(__always) get { Self.within("a", "z", bytes) & ~bytes }
    }

    /// The bytes whose low seven bits are from `first` to `last`.
    @inline(__always)
    private static func within(_ first: Unicode.Scalar, _ last: Unicode.Scalar, _ bytes: UInt64) -> UInt64 {
        let low = bytes & ~high
        let isFromFirst = low &+ ones &* (0x80 &- UInt64(first.value))
        let isBehindLast = low &+ ones &* (0x7F &- UInt64(last.value))
        return isFromFirst & ~isBehindLast & high
    }
}

/// Reading of UTF-8, scalar by scalar.
enum UTF8Scalars {
    /// Reads the scalar that begins with `byte`, which stands at `position`.
    ///
    /// The text is UTF-8 and readable for three bytes after its end, so that a truncated scalar reads what follows
    /// instead of faulting.
    /// - Returns: The scalar's value and its length in bytes.
    @inline(__always)
    static func decode(_ byte: UInt8, at position: UnsafePointer<UInt8>) -> (value: UInt32, length: Int) {
        let lead = UInt32(byte)
        if lead < 0x80 { return (lead, 1) }
        let second = UInt32(position[1] & 0x3F)
        if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
        let third = UInt32(position[2] & 0x3F)
        if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, 3) }
        return ((lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(position[3] & 0x3F), 4)
    }

    /// The number of bytes of the scalar that begins with `lead`; one for a byte that begins none.
    @inline(__always)
    static func length(_ lead: UInt8) -> Int { lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4 }

    /// Whether bytes are UTF-8, by table 3-7 of the Unicode Standard.
    ///
    /// - Parameter text: Followed by eight readable bytes that are zero.
    static func areValid(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = text.baseAddress else { return true }
        var i = 0
        while i < text.count {
            if EightBytes(start + i).areASCII {
                i &+= 8
                continue
            }
            let length = wellFormedLength(start + i)
            guard length > 0 else { return false }
            i &+= length
        }
        return true
    }

    /// The number of bytes of the scalar at `start`, 0 if there is none.
    private static func wellFormedLength(_ start: UnsafePointer<UInt8>) -> Int {
        func continues(_ count: Int) -> Bool { (1...count).allSatisfy { start[$0] & 0xC0 == 0x80 } }
        switch start[0] {
        case 0..<0x80: return 1
        case 0xC2...0xDF: return continues(1) ? 2 : 0
        case 0xE0: return continues(2) && start[1] >= 0xA0 ? 3 : 0
        case 0xED: return continues(2) && start[1] < 0xA0 ? 3 : 0
        case 0xE1...0xEF: return continues(2) ? 3 : 0
        case 0xF0: return continues(3) && start[1] >= 0x90 ? 4 : 0
        case 0xF1...0xF3: return continues(3) ? 4 : 0
        case 0xF4: return continues(3) && start[1] < 0x90 ? 4 : 0
        default: return 0
        }
    }
}

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
        let isAfterLast = low &+ ones &* (0x7F &- UInt64(last.value))
        return isFromFirst & ~isAfterLast & high
    }
}

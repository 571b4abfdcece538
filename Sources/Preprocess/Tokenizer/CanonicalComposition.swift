import CUTF8Proc

/// Canonical composition (NFC), by utf8proc, with every byte's place in the original text.
///
/// Nearly all text is composed already. It is passed over by a table of the scalars that may need work; only around
/// those the library is called, from the last scalar that nothing can change up to the next.
final class CanonicalComposition {
    private var scalars: [Int32] = []
    private(set) var bytes: [UInt8] = []
    /// For each byte of `bytes`, where the original scalars that it came from begin and end.
    private(set) var origins: [Range<Int32>] = []

    /// Composes `text`, if it isn't composed.
    ///
    /// The text is readable for three bytes behind its end.
    /// - Returns: Whether `bytes` differ from the text.
    func compose(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = text.baseAddress, Self.hasUnstable(start, count: text.count) else { return false }
        bytes.removeAll(keepingCapacity: true)
        origins.removeAll(keepingCapacity: true)
        var segment = 0
        var i = 0
        var needsWork = false
        while i < text.count {
            let (value, length) = decodeScalar(start[i], at: start + i)
            if Self.unstable.contains(value) {
                needsWork = true
            } else {
                append(start, segment..<i, composing: needsWork)
                segment = i
                needsWork = false
            }
            i += length
        }
        append(start, segment..<text.count, composing: needsWork)
        return true
    }

    private func append(_ start: UnsafePointer<UInt8>, _ range: Range<Int>, composing: Bool) {
        let text = UnsafeBufferPointer(start: start + range.lowerBound, count: range.count)
        guard composing else {
            bytes.append(contentsOf: text)
            for i in range { origins.append(Int32(i)..<Int32(i + 1)) }
            return
        }
        let composed = Self.compose(text, &scalars)
        bytes.append(contentsOf: composed)
        let origin = Int32(range.lowerBound)..<Int32(range.upperBound)
        origins.append(contentsOf: repeatElement(origin, count: composed.count))
    }

    /// Whether a scalar may change, looking at scalars only from the first that is U+0300 or above.
    private static func hasUnstable(_ start: UnsafePointer<UInt8>, count: Int) -> Bool {
        var i = 0
        while i < count, start[i] < 0xCC { i += 1 }
        // U+0300 begins with 0xCC, so what stopped here is a lead byte.
        while i < count {
            let (value, length) = decodeScalar(start[i], at: start + i)
            if unstable.contains(value) { return true }
            i += length
        }
        return false
    }

    private static func compose(_ text: UnsafeBufferPointer<UInt8>, _ scalars: inout [Int32]) -> [UInt8] {
        let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_COMPOSE.rawValue)
        // A scalar's canonical decomposition has at most four scalars, and an element holds four bytes of UTF-8.
        let needed = 4 * text.count + 4
        if scalars.count < needed { scalars = [Int32](repeating: 0, count: needed) }
        return scalars.withUnsafeMutableBufferPointer { buffer in
            let count = utf8proc_decompose(
                text.baseAddress, text.count, buffer.baseAddress, buffer.count - 1, options)
            // Only malformed UTF-8 fails; it stays as it is.
            guard count >= 0, count < buffer.count else { return Array(text) }
            let length = utf8proc_reencode(buffer.baseAddress, count, options)
            guard length >= 0 else { return Array(text) }
            return Array(UnsafeRawBufferPointer(start: buffer.baseAddress, count: length))
        }
    }

    /// The scalars that composition may change, or join with the one before: all others bound a segment.
    private static let unstable = ScalarSet { value, insert in
        guard let scalar = Unicode.Scalar(value), let property = utf8proc_get_property(Int32(value))?.pointee else {
            return
        }
        if property.combining_class != 0 { insert(value) }
        let isHangul = 0xAC00..<0xD7A4 ~= value
        guard isHangul || property.decomp_seqindex != UInt16.max else { return }
        var text = Array(String(Character(scalar)).utf8)
        var scratch: [Int32] = []
        var composed: [UInt8] = []
        text.withUnsafeBufferPointer { composed = compose($0, &scratch) }
        if composed != text { insert(value) }
        // What follows the first scalar of a decomposition may join with one before it.
        var parts = [Int32](repeating: 0, count: 8)
        let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_DECOMPOSE.rawValue)
        let count = utf8proc_decompose(&text, text.count, &parts, parts.count, options)
        for part in parts.prefix(max(0, count)).dropFirst() { insert(UInt32(part)) }
    }
}

/// A set of scalars below U+30000, a bit each; those above are never changed by normalization.
private struct ScalarSet {
    private var words = [UInt64](repeating: 0, count: 0x30000 / 64)

    init(_ fill: (UInt32, (UInt32) -> Void) -> Void) {
        var bits = [UInt64](repeating: 0, count: words.count)
        for value in UInt32(0)..<0x30000 {
            fill(value) { member in bits[Int(member >> 6)] |= 1 << UInt64(member & 63) }
        }
        words = bits
    }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        value < 0x30000 && words[Int(value >> 6)] >> UInt64(value & 63) & 1 != 0
    }
}

import CUTF8Proc

/// Canonical composition (NFC), by utf8proc, with every byte's place in the original text.
///
/// Nearly all text is composed already. It is passed over by a table of the scalars that may need work; only around
/// those the library is called, from the last scalar that nothing can change up to the next.
///
/// Hugging Face composes by Unicode 9.0 (tokenizers 0.22, unicode-normalization-alignments 0.1.12): what was assigned
/// later has no combining class and no decomposition there, and so here.
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
            if Self.tables.unstable.contains(value) {
                needsWork = true
            } else {
                append(start, segment..<i, composing: needsWork)
                segment = i
                needsWork = false
                if Self.tables.newer.contains(value) {
                    append(start, i..<i + length, composing: false)
                    segment = i + length
                }
            }
            i += length
        }
        append(start, segment..<text.count, composing: needsWork)
        return true
    }

    private func append(_ start: UnsafePointer<UInt8>, _ range: Range<Int>, composing: Bool) {
        let text = UnsafeBufferPointer(start: start + range.lowerBound, count: range.count)
        let composed = composing ? Self.compose(text, &scalars) : []
        guard composing, !composed.elementsEqual(text) else {
            bytes.append(contentsOf: text)
            for i in range { origins.append(Int32(i)..<Int32(i + 1)) }
            return
        }
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
            if tables.unstable.contains(value) { return true }
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

    private static let tables = Tables()

    private struct Tables {
        /// The scalars that composition may change, or join with the one before: all others bound a segment.
        var unstable = ScalarSet()
        /// Scalars that composition would change but for their age.
        var newer = ScalarSet()

        init() {
            for value in UInt32(0)..<ScalarSet.end {
                guard let scalar = Unicode.Scalar(value), let property = utf8proc_get_property(Int32(value))?.pointee
                else { continue }
                let isHangul = 0xAC00..<0xD7A4 ~= value
                let hasDecomposition = isHangul || property.decomp_seqindex != UInt16.max
                guard property.combining_class != 0 || hasDecomposition else { continue }
                guard let age = scalar.properties.age, (age.major, age.minor) <= unicodeVersion else {
                    newer.insert(value)
                    continue
                }
                if property.combining_class != 0 { unstable.insert(value) }
                if hasDecomposition { insertDecomposable(scalar) }
            }
        }

        private mutating func insertDecomposable(_ scalar: Unicode.Scalar) {
            var text = Array(String(Character(scalar)).utf8)
            var scratch: [Int32] = []
            let composed = text.withUnsafeBufferPointer { compose($0, &scratch) }
            if composed != text { unstable.insert(scalar.value) }
            // What follows the first scalar of a decomposition may join with one before it.
            var parts = [Int32](repeating: 0, count: 8)
            let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_DECOMPOSE.rawValue)
            let count = utf8proc_decompose(&text, text.count, &parts, parts.count, options)
            for part in parts.prefix(max(0, count)).dropFirst() { unstable.insert(UInt32(part)) }
        }
    }

    private static let unicodeVersion = (9, 0)
}

/// A set of scalars below U+30000, a bit each; those above are never changed by normalization.
private struct ScalarSet {
    static let end: UInt32 = 0x30000
    private var words = [UInt64](repeating: 0, count: Int(end) / 64)

    mutating func insert(_ value: UInt32) { words[Int(value >> 6)] |= 1 << UInt64(value & 63) }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        value < Self.end && words[Int(value >> 6)] >> UInt64(value & 63) & 1 != 0
    }
}

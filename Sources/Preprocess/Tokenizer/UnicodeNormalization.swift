import CUTF8Proc

/// The four normalization forms of Unicode, by utf8proc.
///
/// Nearly all text is normal already. It is passed over by a table of the scalars that may need work; only around
/// those the library is called, from the last scalar that nothing can change up to the next.
///
/// Hugging Face normalizes by Unicode 9.0 (tokenizers 0.22, unicode-normalization-alignments 0.1.12): what was assigned
/// later has no combining class and no decomposition there, and so here.
enum UnicodeNormalization: String, Sendable {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"

    static let unicodeVersion = (9, 0)

    /// Writes the normal form of `text`; what changes comes from all of the scalars that changed with it.
    ///
    /// - Returns: false where the text is in this form already; nothing is written then.
    func rewrite(_ text: AlignedView, into result: AlignedText) -> Bool {
        let tables = self.tables
        guard tables.mayChange(text.bytes) else { return false }
        var scratch: [Int32] = []
        var (segment, i) = (text.range.lowerBound, text.range.lowerBound)
        var needsWork = false
        func flush() {
            let range = segment..<min(i, text.range.upperBound)
            guard needsWork, !range.isEmpty else { return result.append(text, range) }
            let bytes = text.part(range).bytes
            let normal = normalize(bytes, &scratch)
            if normal.elementsEqual(bytes) {
                result.append(text, range)
            } else {
                result.append(normal, origin: text.origin(range))
            }
        }
        while i < text.range.upperBound {
            let (value, length) = decodeScalar(text.start[i], at: text.start + i)
            if tables.unstable.contains(value) {
                needsWork = true
            } else {
                flush()
                (segment, needsWork) = (i, false)
                if tables.newer.contains(value) {
                    i += length
                    flush()
                    segment = i
                    continue
                }
            }
            i += length
        }
        flush()
        return true
    }

    private var options: utf8proc_option_t {
        let direction = self == .nfc || self == .nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE
        let compatibility = self == .nfkc || self == .nfkd ? UTF8PROC_COMPAT.rawValue : 0
        return utf8proc_option_t(UTF8PROC_STABLE.rawValue | direction.rawValue | compatibility)
    }

    /// The normal form of a text, whatever Unicode's version.
    fileprivate func normalize(_ text: UnsafeBufferPointer<UInt8>, _ scalars: inout [Int32]) -> [UInt8] {
        // The longest decomposition is that of U+FDFA, 18 scalars for three bytes.
        let needed = 8 * text.count + 8
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

    private var tables: NormalizationTables {
        switch self {
        case .nfc: Self.nfcTables
        case .nfd: Self.nfdTables
        case .nfkc: Self.nfkcTables
        case .nfkd: Self.nfkdTables
        }
    }

    private static let nfcTables = NormalizationTables(.nfc)
    private static let nfdTables = NormalizationTables(.nfd)
    private static let nfkcTables = NormalizationTables(.nfkc)
    private static let nfkdTables = NormalizationTables(.nfkd)
}

/// Which scalars a form has to do with.
private struct NormalizationTables {
    /// The scalars that the form may change, reorder, or join with the one before: all others bound a segment.
    var unstable = ScalarSet()
    /// Scalars that the form would change but for their age.
    var newer = ScalarSet()
    /// The lead byte of the first scalar of either set.
    private var firstLead: UInt8 = 0xFF

    init(_ form: UnicodeNormalization) {
        var scratch: [Int32] = []
        for value in UInt32(0)..<ScalarSet.end {
            guard let scalar = Unicode.Scalar(value), let property = utf8proc_get_property(Int32(value))?.pointee
            else { continue }
            let isHangul = 0xAC00..<0xD7A4 ~= value
            let hasDecomposition = isHangul || property.decomp_seqindex != UInt16.max
            guard property.combining_class != 0 || hasDecomposition else { continue }
            guard let age = scalar.properties.age, (age.major, age.minor) <= UnicodeNormalization.unicodeVersion else {
                newer.insert(value)
                continue
            }
            if property.combining_class != 0 { unstable.insert(value) }
            if hasDecomposition { insertDecomposable(scalar, form, &scratch) }
        }
        let first = (UInt32(0)..<ScalarSet.end).first { unstable.contains($0) || newer.contains($0) }
        firstLead = first.flatMap(Unicode.Scalar.init).flatMap { String(Character($0)).utf8.first } ?? 0xFF
    }

    private mutating func insertDecomposable(
        _ scalar: Unicode.Scalar, _ form: UnicodeNormalization, _ scratch: inout [Int32]
    ) {
        var text = Array(String(Character(scalar)).utf8)
        if text.withUnsafeBufferPointer({ form.normalize($0, &scratch) }) != text { unstable.insert(scalar.value) }
        // What follows the first scalar of a decomposition may join with one before it.
        var parts = [Int32](repeating: 0, count: 32)
        let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_DECOMPOSE.rawValue)
        let count = utf8proc_decompose(&text, text.count, &parts, parts.count, options)
        for part in parts.prefix(max(0, count)).dropFirst() { unstable.insert(UInt32(part)) }
    }

    /// Whether a scalar may change, looking at scalars only from the first whose lead byte is among theirs.
    func mayChange(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = text.baseAddress else { return false }
        var i = 0
        while i < text.count, start[i] < firstLead { i += 1 }
        while i < text.count {
            let (value, length) = decodeScalar(start[i], at: start + i)
            if unstable.contains(value) { return true }
            i += length
        }
        return false
    }
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

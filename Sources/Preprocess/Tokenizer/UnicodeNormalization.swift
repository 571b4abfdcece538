import CUTF8Proc

/// The four normalization forms of Unicode, by utf8proc.
///
/// Nearly all text is normal already. It is passed over by a table of the scalars that may need work; only around those
/// is anything done, in segments: a scalar that nothing before it can change or join with, and those after it that may
/// join with it. utf8proc decomposes each scalar and composes each segment; marks are ordered here, because
/// utf8proc's sort takes quadratic time. So time is linear in the text, and memory is that of the longest segment.
///
/// Hugging Face normalizes by Unicode 9.0 (tokenizers 0.22, unicode-normalization-alignments 0.1.12): what was assigned
/// later has no combining class and no decomposition there, and so here.
enum UnicodeNormalization: String, CaseIterable, Sendable {
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
        var segment = NormalizedSegment(self)
        // The text up to `plain` is written; the segment begins at `start`.
        var (plain, start, i) = (text.range.lowerBound, text.range.lowerBound, text.range.lowerBound)
        var starter: UInt32?
        func flush() {
            guard !segment.isEmpty else { return }
            segment.withNormalForm { normal in
                guard !normal.elementsEqual(text.part(start..<i).bytes) else { return }
                result.append(text, plain..<start)
                result.append(normal, origin: text.origin(start..<i))
                plain = i
            }
            segment.removeAll()
        }
        while i < text.range.upperBound {
            let (value, length) = UTF8Scalars.decode(text.start[i], at: text.start + i)
            if tables.continuing.contains(value) {
                if segment.isEmpty, let starter { segment.append(starter) }
                segment.append(value)
            } else {
                flush()
                (start, starter) = (i, value)
                if tables.newer.contains(value) {
                    (start, starter) = (i + length, nil)
                } else if tables.unstable.contains(value) {
                    segment.append(value)
                }
            }
            i += length
        }
        flush()
        result.append(text, plain..<text.range.upperBound)
        return true
    }

    fileprivate var composes: Bool { self == .nfc || self == .nfkc }

    fileprivate var options: utf8proc_option_t {
        let direction = composes ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE
        let compatibility = self == .nfkc || self == .nfkd ? UTF8PROC_COMPAT.rawValue : 0
        return utf8proc_option_t(UTF8PROC_STABLE.rawValue | direction.rawValue | compatibility)
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

/// A part of a text that is normalized by itself, as its decomposition.
private struct NormalizedSegment {
    private let options: utf8proc_option_t
    private var scalars: [Int32] = []
    private var ordered: [Int32] = []
    /// Room for one scalar's decomposition; the longest, that of U+FDFA, has 18 scalars.
    private var parts = [Int32](repeating: 0, count: 32)

    init(_ form: UnicodeNormalization) { options = form.options }

    var isEmpty: Bool { scalars.isEmpty }

    mutating func removeAll() { scalars.removeAll(keepingCapacity: true) }

    /// Appends the decomposition of a scalar.
    mutating func append(_ value: UInt32) {
        let count = utf8proc_decompose_char(Int32(value), &parts, parts.count, options, nil)
        // It fails for no scalar; surrogates and what is above U+10FFFF aren't in UTF-8.
        scalars += count > 0 ? parts[..<count] : [Int32(value)]
    }

    /// The scalars of the decomposition, before their marks are ordered.
    var decomposition: [Int32] { scalars }

    /// Calls `body` with the normal form, as UTF-8; the segment then is to be emptied.
    mutating func withNormalForm<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        orderMarks()
        // utf8proc composes and writes UTF-8 over the scalars, and a zero after it.
        let count = scalars.count
        scalars.append(0)
        return scalars.withUnsafeMutableBufferPointer { scalars in
            let length = utf8proc_reencode(scalars.baseAddress, count, options)
            return body(
                UnsafeBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(scalars).bindMemory(to: UInt8.self)[..<max(0, length)]))
        }
    }

    /// Canonical ordering: sorts each run of scalars with a combining class by it, equal ones in their order.
    ///
    /// The Unicode Standard, section 3.11, D109.
    private mutating func orderMarks() {
        var start = 0
        while start < scalars.count {
            guard Self.combiningClass(scalars[start]) != 0 else {
                start += 1
                continue
            }
            var end = start + 1
            while end < scalars.count, Self.combiningClass(scalars[end]) != 0 { end += 1 }
            if end - start > 1 { order(start..<end) }
            start = end
        }
    }

    /// Counts the marks of each class, and puts each after those of lower classes.
    private mutating func order(_ run: Range<Int>) {
        var positions = [Int](repeating: 0, count: 256)
        for scalar in scalars[run] { positions[Self.combiningClass(scalar)] += 1 }
        var position = 0
        for combiningClass in positions.indices {
            (positions[combiningClass], position) = (position, position + positions[combiningClass])
        }
        ordered.removeAll(keepingCapacity: true)
        ordered.append(contentsOf: repeatElement(0, count: run.count))
        for scalar in scalars[run] {
            let combiningClass = Self.combiningClass(scalar)
            ordered[positions[combiningClass]] = scalar
            positions[combiningClass] += 1
        }
        scalars.replaceSubrange(run, with: ordered)
    }

    /// 0 to 255.
    @inline(__always)
    static func combiningClass(_ scalar: Int32) -> Int {
        Int(UInt8(truncatingIfNeeded: utf8proc_get_property(scalar)?.pointee.combining_class ?? 0))
    }
}

/// Which scalars a form has to do with.
private struct NormalizationTables {
    /// The scalars that the form may change, reorder, or join with what is before them.
    private(set) var unstable = ScalarSet()
    /// Those of them that don't begin a segment: they may be reordered or joined with what is before.
    private(set) var continuing = ScalarSet()
    /// Scalars that the form would change but for their age.
    private(set) var newer = ScalarSet()
    /// The lead byte of the first unstable scalar.
    private var firstLead: UInt8 = 0xFF

    init(_ form: UnicodeNormalization) {
        var segment = NormalizedSegment(form)
        var canonical = NormalizedSegment(.nfd)
        var known: [UInt32] = []
        for value in UInt32(0)..<ScalarSet.end {
            guard let scalar = Unicode.Scalar(value), let property = utf8proc_get_property(Int32(value))?.pointee
            else { continue }
            let isHangul = 0xAC00..<0xD7A4 ~= value
            guard property.combining_class != 0 || isHangul || property.decomp_seqindex != UInt16.max else { continue }
            if let age = scalar.properties.age, (age.major, age.minor) <= UnicodeNormalization.unicodeVersion {
                known.append(value)
            } else {
                newer.insert(value)
            }
        }
        if form.composes {
            for value in known {
                canonical.removeAll()
                canonical.append(value)
                for part in canonical.decomposition.dropFirst() { continuing.insert(UInt32(part)) }
            }
        }
        // A scalar's first part decides whether what is before it matters, so parts are needed first.
        let joining = continuing
        for value in known {
            segment.removeAll()
            segment.append(value)
            if let first = segment.decomposition.first,
                NormalizedSegment.combiningClass(first) != 0 || joining.contains(UInt32(first))
            {
                continuing.insert(value)
            }
            let text = Unicode.Scalar(value).map { Array(String(Character($0)).utf8) } ?? []
            if !segment.withNormalForm({ $0.elementsEqual(text) }) { unstable.insert(value) }
        }
        unstable.formUnion(continuing)
        let first = (UInt32(0)..<ScalarSet.end).first { unstable.contains($0) }
        firstLead = first.flatMap(Unicode.Scalar.init).flatMap { String(Character($0)).utf8.first } ?? 0xFF
    }

    /// Whether a scalar may change, looking at scalars only from the first whose lead byte is among theirs.
    func mayChange(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = text.baseAddress else { return false }
        var i = 0
        while i < text.count, start[i] < firstLead { i += 1 }
        while i < text.count {
            let (value, length) = UTF8Scalars.decode(start[i], at: start + i)
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

    mutating func formUnion(_ other: ScalarSet) { for i in words.indices { words[i] |= other.words[i] } }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        value < Self.end && words[Int(value >> 6)] >> UInt64(value & 63) & 1 != 0
    }
}

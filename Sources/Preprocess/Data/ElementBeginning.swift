@preconcurrency import Glibc

/// How the elements of an array begin, where they don't begin lines: `{`, the first key and the colon, byte by byte the
/// same in what one program wrote.
///
/// Such bytes can't stand within a string, whose quotation marks would be escaped. So behind a comma they are another
/// element's beginning, unless objects within elements begin the same way.
struct ElementBeginning {
    private static let longest = 256

    private var bytes: [UInt8] = []
    private var isAmbiguous = false

    /// Whether a whole element has begun so, and nothing within one.
    var isProven: Bool { !bytes.isEmpty && !isAmbiguous }
    var count: Int { bytes.count }

    /// Learns from an element that is whole.
    mutating func learn(from element: UnsafeRawBufferPointer) {
        guard !isAmbiguous else { return }
        if bytes.isEmpty { bytes = Self.beginning(of: element) }
        isAmbiguous = bytes.isEmpty || search(element, from: 1) != nil
    }

    /// Where the next element begins.
    func find(in text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var from = start
        while let found = search(text, from: from) {
            if isBehindComma(in: text, at: found) == true { return found }
            from = found + 1
        }
        return nil
    }

    /// Whether an element begins at a brace; nil if too few bytes are there to tell.
    func isBehindComma(in text: UnsafeRawBufferPointer, at position: Int) -> Bool? {
        guard let before = text[..<position].last(where: { $0 != 0x20 && !(0x09...0x0D).contains($0) }),
            before == UInt8(ascii: ",")
        else { return false }
        let rest = text[position...].prefix(bytes.count)
        guard rest.elementsEqual(bytes.prefix(rest.count)) else { return false }
        return rest.count == bytes.count ? true : nil
    }

    private func search(_ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let first = bytes.first, let base = text.baseAddress else { return nil }
        var from = start
        while from + bytes.count <= text.count, let found = memchr(base + from, Int32(first), text.count - from) {
            from = UnsafeRawPointer(found) - base
            let rest = UnsafeRawBufferPointer(rebasing: text[from...].prefix(bytes.count))
            if rest.elementsEqual(bytes) { return from }
            from += 1
        }
        return nil
    }

    private static func beginning(of element: UnsafeRawBufferPointer) -> [UInt8] {
        let head = element.prefix(longest)
        guard head.first == UInt8(ascii: "{"),
            let quote = head.firstIndex(of: UInt8(ascii: "\"")),
            let colon = head[quote...].firstIndex(of: UInt8(ascii: ":")), !head[..<colon].contains(UInt8(ascii: "\\"))
        else { return [] }
        return Array(head[...colon])
    }
}

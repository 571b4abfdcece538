/// Goes through an object's own keys, as far as its text is there.
struct ObjectWalk {
    private let text: UnsafeRawBufferPointer
    private var position = 1
    /// Whether the text ended before the object.
    private(set) var isCutShort = false

    /// - Parameter text: Begins with the object's bracket.
    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    /// The next key, which `skipValue` must follow; nil at the object's end, the text's end or what isn't JSON.
    mutating func nextKey() -> String? {
        guard let first = skipSpaces(andCommas: true), first == UInt8(ascii: "\"") else { return nil }
        let start = position + 1
        guard skipValue(), skipSpaces() == UInt8(ascii: ":") else { return nil }
        let end = text[..<position].lastIndex(of: UInt8(ascii: "\"")) ?? start
        position += 1
        return String(decoding: text[start..<max(start, end)], as: UTF8.self)
    }

    /// The object's keys, as far as its text is there.
    mutating func keys() -> [String] {
        var keys: [String] = []
        while let key = nextKey() {
            keys.append(key)
            // No record has more columns; what has is a table by keys.
            guard keys.count < 1000, skipValue() else { break }
        }
        return keys
    }

    /// Where the brackets of the value and of its first element are, if it is an array whose first element is an object.
    mutating func arrayOfObjects() -> (array: Int, object: Int)? {
        guard skipSpaces() == UInt8(ascii: "[") else { return nil }
        let element = text[(position + 1)...].firstIndex { !isJSONSpace($0) }
        return element.flatMap { text[$0] == UInt8(ascii: "{") ? (position, $0) : nil }
    }

    /// Goes to the end of the value; false if it isn't there.
    mutating func skipValue() -> Bool {
        guard let first = skipSpaces() else { return false }
        guard "{[\"".utf8.contains(first) else {
            let end = text[position...].firstIndex { ",]}".utf8.contains($0) || isJSONSpace($0) }
            position = end ?? text.count
            isCutShort = end == nil
            return end != nil
        }
        var value = ValueScanner()
        let outcome = value.scan(text, from: &position, upTo: text.count)
        isCutShort = outcome == .goesOn
        return outcome == .complete
    }

    /// The byte that is next; nil if the text ends.
    private mutating func skipSpaces(andCommas: Bool = false) -> UInt8? {
        while position < text.count, isJSONSpace(text[position]) || (andCommas && text[position] == UInt8(ascii: ",")) {
            position += 1
        }
        isCutShort = position == text.count
        return isCutShort ? nil : text[position]
    }
}

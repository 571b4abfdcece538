/// GPT-2's alphabet: a printable character for every byte, in which byte-level vocabularies are written.
///
/// A printable Latin-1 byte is its own character; the other 68 are U+0100 onwards, in order.
enum ByteAlphabet {
    /// The character of each byte.
    static let characters: [UInt32] = {
        var next: UInt32 = 0x100
        return (0..<256).map { byte in
            if isOwn(byte) { return UInt32(byte) }
            defer { next += 1 }
            return next
        }
    }()

    /// The byte of each character, -1 where the character stands for none.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, character) in characters.enumerated() { table[Int(character)] = Int16(byte) }
        return table
    }()

    /// Appends the bytes that `text`'s characters stand for, if each of them stands for one.
    static func decode(_ text: UnsafeBufferPointer<UInt8>, into result: inout [UInt8]) -> Bool {
        let before = result.count
        var i = 0
        while i < text.count {
            let lead = text[i]
            // The alphabet's characters have one or two bytes.
            guard lead < 0xE0, lead < 0x80 || i + 1 < text.count else { break }
            let character = lead < 0x80 ? Int(lead) : Int(lead & 0x1F) << 6 | Int(text[i + 1] & 0x3F)
            guard character < bytes.count, bytes[character] >= 0 else { break }
            result.append(UInt8(bytes[character]))
            i += lead < 0x80 ? 1 : 2
        }
        if i < text.count { result.removeSubrange(before...) }
        return i == text.count
    }

    /// The characters of bytes, as UTF-8.
    static func encode(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var text = ""
        for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(characters[Int(byte)]) ?? " ") }
        return Array(text.utf8)
    }

    private static func isOwn(_ byte: Int) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }
}

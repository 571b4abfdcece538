@preconcurrency import Glibc

/// What JSON texts have for numbers that simdjson refuses.
///
/// Integers of 19 and more digits, as Hugging Face's `"model_max_length": 1000000000000000019884624838656`, become numbers
/// with a fraction. Where NaN is accepted, Python's `NaN` and `Infinity`, and numbers beyond the largest, become a mark that
/// `number` makes NaN of.
enum NumberMending {
    /// A number that nobody writes.
    private static let mark = 1.0364315294672283e-301

    /// The number that was read, or NaN for a mark.
    static func number(_ value: Double) -> Double { value == mark ? .nan : value }

    /// The text without such numbers; nil if it has none.
    static func mended(_ text: UnsafeRawBufferPointer, takesNaN: Bool) -> [UInt8]? {
        var result: [UInt8] = []
        var (isInString, isEscaped, isFound) = (false, false, false)
        var i = 0
        while i < text.count {
            let end = isInString ? i : text[i...].firstIndex { !isOfWord($0) } ?? text.count
            if end > i {
                if let word = mended(word: text[i..<end], takesNaN: takesNaN) {
                    result += word
                    isFound = true
                } else {
                    result += text[i..<end]
                }
                i = end
                continue
            }
            if !isEscaped && text[i] == UInt8(ascii: "\"") { isInString.toggle() }
            isEscaped = isInString && !isEscaped && text[i] == UInt8(ascii: "\\")
            result.append(text[i])
            i += 1
        }
        return isFound ? result : nil
    }

    private static func mended(word: Slice<UnsafeRawBufferPointer>, takesNaN: Bool) -> [UInt8]? {
        if word.count >= 19, word.dropFirst().allSatisfy(isDigit) { return Array(word) + Array(".0".utf8) }
        guard takesNaN else { return nil }
        let names = ["NaN", "-NaN", "Infinity", "-Infinity"]
        if names.contains(where: { $0.utf8.elementsEqual(word) }) || isTooLarge(word) { return Array("\(mark)".utf8) }
        return nil
    }

    /// Whether a word is a number of JSON that is beyond the largest.
    private static func isTooLarge(_ word: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard word.contains(where: { $0 | 0x20 == UInt8(ascii: "e") }), word.last.map(isDigit) ?? false,
            word.allSatisfy({ isDigit($0) || "+-.eE".utf8.contains($0) })
        else { return false }
        return Double(String(decoding: word, as: UTF8.self))?.isInfinite ?? false
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || "+-.".utf8.contains(byte) || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
    }
}

/// Escapes of surrogates, two of which stand for one character.
enum SurrogateEscapes {
    /// The first that has no other half, as it is written; nil for none.
    static func loneHalf(in text: UnsafeRawBufferPointer) -> String? {
        var i = 0
        while i < text.count {
            guard text[i] == UInt8(ascii: "\\") else {
                i += 1
                continue
            }
            guard let unit = unit(text, i) else {
                i += 2
                continue
            }
            let isPair = 0xD800..<0xDC00 ~= unit && Self.unit(text, i + 6).map { 0xDC00..<0xE000 ~= $0 } ?? false
            if 0xD800..<0xE000 ~= unit, !isPair { return String(decoding: text[i..<i + 6], as: UTF8.self) }
            i += isPair ? 12 : 6
        }
        return nil
    }

    /// The code unit of a Unicode escape of four hexadecimal digits at a position; nil if none begins there.
    private static func unit(_ text: UnsafeRawBufferPointer, _ i: Int) -> Int? {
        guard i + 6 <= text.count, text[i] == UInt8(ascii: "\\"), text[i + 1] == UInt8(ascii: "u") else { return nil }
        return Int(String(decoding: text[i + 2..<i + 6], as: UTF8.self), radix: 16)
    }
}

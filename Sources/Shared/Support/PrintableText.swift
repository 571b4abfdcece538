/// Text of data, templates and files' names as a terminal or a file of lines may have it: characters that a terminal obeys
/// or that end lines, and those that turn the direction of writing, are written as `\u{1b}`.
///
/// - Parameter keepsLines: Whether line ends and tabs stay, as in text that has lines of its own.
public func printable(_ text: String, keepsLines: Bool = false) -> String {
    func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: keepsLines
        // C0 and DEL, C1, the line ends of Unicode, and what overrides the direction.
        case 0..<0x20, 0x7F..<0xA0, 0x2028...0x2029, 0x202A...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
    guard !text.unicodeScalars.allSatisfy(isHarmless) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        if isHarmless(scalar) {
            result.append(scalar)
        } else {
            result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
        }
    }
    return String(result)
}

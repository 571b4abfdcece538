/// A text as HTML shows it.
public func htmlEscaped(_ text: some StringProtocol) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": escaped += "&amp;"
        case "<": escaped += "&lt;"
        case ">": escaped += "&gt;"
        case "\"": escaped += "&quot;"
        // What HTML can't hold.
        case "\u{0}"..."\u{8}", "\u{B}", "\u{C}", "\u{E}"..."\u{1F}", "\u{7F}": escaped += "\u{FFFD}"
        default: escaped.unicodeScalars.append(scalar)
        }
    }
    return escaped
}

/// A number with its thousands apart.
public func grouped(_ number: Int) -> String {
    let digits = String(number.magnitude)
    var text = ""
    for (i, digit) in digits.enumerated() {
        if i > 0 && (digits.count - i).isMultiple(of: 3) { text += "\u{202F}" }
        text.append(digit)
    }
    return number < 0 ? "-" + text : text
}

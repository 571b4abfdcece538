/// The methods of Python's `str` that templates may call.
enum TextMethod: String {
    case capitalize, casefold, center, count, endswith, expandtabs, find, format, index, isalnum, isalpha, isascii
    case isdecimal, isdigit, isidentifier, islower, isnumeric, isprintable, isspace, istitle, isupper, join, ljust
    case lower, lstrip, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust, rpartition, rsplit
    case rstrip, split, splitlines, startswith, strip, swapcase, title, upper, zfill

    func call(on text: Text, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value {
        let call = TextCall(method: rawValue, text: text, arguments: arguments, rendering: rendering)
        switch self {
        case .lower: return try call.plain { Text($0.string.lowercased()) }
        case .upper: return try call.plain { Text($0.string.uppercased()) }
        case .casefold: return try call.plain { Text($0.string.lowercased()) }
        case .capitalize: return try call.plain(\.capitalized)
        case .title: return try call.plain(\.titled)
        case .swapcase: return try call.plain(\.swappedCase)
        case .strip: return try call.strip(start: true, end: true)
        case .lstrip: return try call.strip(start: true, end: false)
        case .rstrip: return try call.strip(start: false, end: true)
        case .startswith: return try call.hasEnd { $0.hasPrefix($1) }
        case .endswith: return try call.hasEnd { $0.hasSuffix($1) }
        case .removeprefix:
            let prefix = try call.onlyText("prefix")
            return .string(text.hasPrefix(prefix) ? Text(text.utf8.dropFirst(prefix.utf8.count)) : text)
        case .removesuffix:
            let suffix = try call.onlyText("suffix")
            return .string(text.hasSuffix(suffix) ? Text(text.utf8.dropLast(suffix.utf8.count)) : text)
        case .split: return try call.split(fromEnd: false)
        case .rsplit: return try call.split(fromEnd: true)
        case .splitlines: return try call.splitLines()
        case .partition: return try call.partition(fromEnd: false)
        case .rpartition: return try call.partition(fromEnd: true)
        case .replace: return try call.replace()
        case .join: return try call.join()
        case .find: return .int(try call.find(fromEnd: false) ?? -1)
        case .rfind: return .int(try call.find(fromEnd: true) ?? -1)
        case .index: return .int(try call.found(try call.find(fromEnd: false)))
        case .rindex: return .int(try call.found(try call.find(fromEnd: true)))
        case .count: return try call.count()
        case .center: return try call.pad { ($0 / 2) + ($0 & $1 & 1) }
        case .ljust: return try call.pad { _, _ in 0 }
        case .rjust: return try call.pad { missing, _ in missing }
        case .zfill: return try call.fillZeros()
        case .expandtabs: return try call.expandTabs()
        case .format: return .string(try BraceFormat.apply(text, arguments, rendering))
        case .isascii: return try call.test { _ in text.isASCII }
        case .isspace: return try call.all(isSpace)
        case .isalpha: return try call.all(\.isLetter)
        case .isdecimal: return try call.all { $0.properties.numericType == .decimal }
        case .isdigit: return try call.all(\.isDigit)
        case .isnumeric: return try call.all { $0.properties.numericType != nil }
        case .isalnum: return try call.all { $0.isLetter || $0.properties.numericType != nil }
        case .isprintable: return try call.test { $0.scalars.allSatisfy(\.isPrintable) }
        case .isidentifier: return try call.test(\.isIdentifier)
        case .islower: return try call.test { $0.hasCase(lower: true) }
        case .isupper: return try call.test { $0.hasCase(lower: false) }
        case .istitle: return try call.test { $0.titled == $0 && $0.scalars.contains(where: \.isCased) }
        }
    }
}

extension Unicode.Scalar {
    /// What Python's `str.isalpha` holds for.
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    var isDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }
    var isCased: Bool {
        properties.isUppercase || properties.isLowercase || properties.generalCategory == .titlecaseLetter
    }
}

extension Text {
    /// The first character upper case, the others lower.
    var capitalized: Text {
        guard let first = scalars.first else { return self }
        return Text(
            first.properties.titlecaseMapping + String(String.UnicodeScalarView(scalars.dropFirst())).lowercased())
    }

    /// Each word's first character upper case, the others lower.
    var titled: Text {
        var result = ""
        var isWithinWord = false
        for scalar in scalars {
            result += isWithinWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
            isWithinWord = scalar.isCased
        }
        return Text(result)
    }

    var swappedCase: Text {
        Text(
            scalars.reduce(into: "") {
                $0 += $1.properties.isUppercase ? $1.properties.lowercaseMapping : $1.properties.uppercaseMapping
            })
    }

    var isIdentifier: Bool {
        guard let first = scalars.first, first == "_" || first.properties.isXIDStart else { return false }
        return scalars.allSatisfy(\.properties.isXIDContinue)
    }

    func hasCase(lower: Bool) -> Bool {
        let cased = scalars.filter(\.isCased)
        return !cased.isEmpty && cased.allSatisfy { lower ? $0.properties.isLowercase : $0.properties.isUppercase }
    }

    /// The lines, which end as Python's `str.splitlines` sees it.
    func lines(keepEnds: Bool = false) -> [Text] {
        var lines: [Text] = []
        var (start, position) = (0, 0)
        while position < utf8.count {
            let (scalar, width) = scalarAt(position)
            guard Self.lineEnds.contains(scalar) else {
                position += width
                continue
            }
            let isPair = scalar == "\r" && position + 1 < utf8.count && utf8[position + 1] == 0x0A
            let end = position + width + (isPair ? 1 : 0)
            lines.append(Text(utf8[start..<(keepEnds ? end : position)]))
            (start, position) = (end, end)
        }
        if start < utf8.count { lines.append(Text(utf8[start...])) }
        return lines
    }

    private static let lineEnds: Set<Unicode.Scalar> = [
        "\n", "\r", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}", "\u{85}", "\u{2028}", "\u{2029}",
    ]

    /// The words between space.
    func words(atMost limit: Int = -1, fromEnd: Bool = false) -> [Text] {
        var words: [Text] = []
        var rest = stripped(start: !fromEnd, end: fromEnd)
        while !rest.isEmpty {
            if words.count == limit {
                words.append(rest.stripped(start: fromEnd, end: !fromEnd))
                break
            }
            let cut = fromEnd ? rest.startOfLastWord : rest.endOfFirstWord
            words.append(Text(fromEnd ? rest.utf8[cut...] : rest.utf8[..<cut]))
            rest = Text(fromEnd ? rest.utf8[..<cut] : rest.utf8[cut...]).stripped(start: !fromEnd, end: fromEnd)
        }
        return fromEnd ? words.reversed() : words
    }

    private var endOfFirstWord: Int {
        var position = 0
        while position < utf8.count {
            let (scalar, width) = scalarAt(position)
            if isSpace(scalar) { break }
            position += width
        }
        return position
    }

    private var startOfLastWord: Int {
        var (position, start) = (0, 0)
        while position < utf8.count {
            let (scalar, width) = scalarAt(position)
            position += width
            if isSpace(scalar) { start = position }
        }
        return start
    }
}

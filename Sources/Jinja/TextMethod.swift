/// The methods of Python's `str` that templates may call.
enum TextMethod: String, CaseIterable {
    case capitalize, casefold, center, count, endswith, expandtabs, find, format, index, isalnum, isalpha, isascii
    case isdecimal, isdigit, isidentifier, islower, isnumeric, isprintable, isspace, istitle, isupper, join, ljust
    case lower, lstrip, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust, rpartition, rsplit
    case rstrip, split, splitlines, startswith, strip, swapcase, title, upper, zfill

    func call(on text: Text, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value {
        let budget = rendering.budget
        // What reads the text but once needn't count that.
        try budget.work(bytes: text.utf8.count)
        let call = TextCall(method: rawValue, text: text, arguments: arguments, budget: budget)
        switch self {
        case .lower: return try call.plain { (text) throws(Failure) in try text.lowercased(budget) }
        case .upper: return try call.plain { (text) throws(Failure) in try text.uppercased(budget) }
        case .casefold: return try call.plain { (text) throws(Failure) in try text.lowercased(budget) }
        case .capitalize: return try call.plain { (text) throws(Failure) in try text.capitalized(budget) }
        case .title: return try call.plain { (text) throws(Failure) in try text.titled(budget) }
        case .swapcase: return try call.plain { (text) throws(Failure) in try text.swappedCase(budget) }
        case .strip: return try call.strip(start: true, end: true)
        case .lstrip: return try call.strip(start: true, end: false)
        case .rstrip: return try call.strip(start: false, end: true)
        case .startswith: return try call.hasEnd { $0.hasPrefix($1) }
        case .endswith: return try call.hasEnd { $0.hasSuffix($1) }
        case .removeprefix:
            let prefix = try call.onlyText("prefix")
            guard text.hasPrefix(prefix), !prefix.isEmpty else { return .string(text) }
            return .string(try budget.text(text.utf8.dropFirst(prefix.utf8.count)))
        case .removesuffix:
            let suffix = try call.onlyText("suffix")
            guard text.hasSuffix(suffix), !suffix.isEmpty else { return .string(text) }
            return .string(try budget.text(text.utf8.dropLast(suffix.utf8.count)))
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
        case .istitle:
            let titled = try text.titled(budget)
            return try call.test { titled == $0 && $0.scalars.contains(where: \.isCased) }
        }
    }
}

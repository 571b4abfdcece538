import CPCRE2

/// A compiled pattern: PCRE2, just-in-time compiled where the system lets a program write code.
///
/// A pattern is immutable and may be used by many threads; each keeps a `Matcher`.
final class Pattern: @unchecked Sendable {
    fileprivate let code: OpaquePointer
    /// Whether it is machine code; else it is interpreted, which is slower and matches the same.
    let isCompiledJustInTime: Bool

    /// Compiles a pattern that is written for Hugging Face's engine.
    /// - Parameter justInTime: Whether it shall become machine code if it can.
    /// - Throws: `PatternError` that says which construct can't be carried over, or PCRE2's own message.
    convenience init(oniguruma pattern: String, justInTime: Bool = true) throws(PatternError) {
        let syntax = OnigurumaSyntax(newerScalars: NewerScalars.ranges)
        try self.init(
            syntax.translate(pattern), options: PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, justInTime: justInTime)
    }

    private init(_ pattern: String, options: UInt32, justInTime: Bool) throws(PatternError) {
        var code: Int32 = 0
        var offset = 0
        let bytes = Array(pattern.utf8)
        // A line ends with \n alone, whatever the library was built with.
        let context = pcre2_compile_context_create_8(nil)
        defer { pcre2_compile_context_free_8(context) }
        pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
        // The text was checked when it was read, so PCRE2 needn't check it at every match.
        let compiled = pcre2_compile_8(bytes, bytes.count, options | PCRE2_NO_UTF_CHECK, &code, &offset, context)
        guard let compiled else { throw PatternError(Self.message(code)) }
        // It fails where no memory may be executed that was written (SELinux, PaX), or on a CPU that PCRE2 writes no code for.
        isCompiledJustInTime = justInTime && pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE) == 0
        self.code = compiled
    }

    deinit { pcre2_code_free_8(code) }

    /// Whether the pattern may match without any text.
    var canMatchNothing: Bool {
        var answer: UInt32 = 0
        return pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_MATCHEMPTY), &answer) != 0 || answer != 0
    }

    fileprivate static func message(_ code: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let length = pcre2_get_error_message_8(code, &buffer, buffer.count)
        return length >= 0 ? String(decoding: buffer[..<Int(length)], as: UTF8.self) : "PCRE2 error \(code)"
    }

    /// The version of Unicode that PCRE2 knows.
    static let unicodeVersion: (major: Int, minor: Int) = {
        var text = [UInt8](repeating: 0, count: 32)
        guard pcre2_config_8(UInt32(PCRE2_CONFIG_UNICODE_VERSION), &text) > 0 else { return (0, 0) }
        let parts = text.prefix { $0 != 0 }.split(separator: UInt8(ascii: ".")).map {
            Int(String(decoding: $0, as: UTF8.self)) ?? 0
        }
        return (parts.first ?? 0, parts.dropFirst().first ?? 0)
    }()
}

/// One thread's scratch for matching patterns.
final class Matcher {
    private let data: OpaquePointer
    private let stack: OpaquePointer
    private let context: OpaquePointer

    /// How often the engine may try another way in one match.
    private static let matchLimit: UInt32 = 10_000_000
    /// KiB that one match may need where it is interpreted.
    private static let heapLimit: UInt32 = 1 << 18

    init() {
        // A pattern backtracks over the text's length, so the engine's stack may grow to 64 MiB.
        guard let data = pcre2_match_data_create_8(1, nil), let stack = pcre2_jit_stack_create_8(1 << 15, 1 << 26, nil),
            let context = pcre2_match_context_create_8(nil)
        else { fatalError("no memory for matching patterns") }
        pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
        pcre2_set_match_limit_8(context, Self.matchLimit)
        pcre2_set_heap_limit_8(context, Self.heapLimit)
        (self.data, self.stack, self.context) = (data, stack, context)
    }

    deinit {
        pcre2_match_context_free_8(context)
        pcre2_jit_stack_free_8(stack)
        pcre2_match_data_free_8(data)
    }

    /// The first match of `pattern` in `text` at or after `start`.
    /// - Throws: `PatternError` where the engine gives up.
    func firstMatch(
        of pattern: Pattern, in text: UnsafeBufferPointer<UInt8>, from start: Int
    ) throws(PatternError) -> Range<Int>? {
        let status =
            pattern.isCompiledJustInTime
            ? pcre2_jit_match_8(pattern.code, text.baseAddress, text.count, start, 0, data, context)
            : pcre2_match_8(
                pattern.code, text.baseAddress, text.count, start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context)
        if status == PCRE2_ERROR_NOMATCH { return nil }
        guard status >= 0, let bounds = pcre2_get_ovector_pointer_8(data) else {
            throw PatternError("can't be matched: \(Pattern.message(status))")
        }
        return bounds[0]..<bounds[1]
    }
}

/// Scalars that Unicode gained after PCRE2's version, up to that of `ScalarClasses`.
private enum NewerScalars {
    private static let categories: [(value: UInt32, category: String)] = {
        let known = Pattern.unicodeVersion
        return [0..<0x34000, 0xE0000..<0xE0200].joined().compactMap { value in
            guard let scalar = Unicode.Scalar(UInt32(value)), let age = scalar.properties.age,
                (age.major, age.minor) > known,
                (age.major, age.minor) <= ScalarClasses.unicodeVersion
            else { return nil }
            return (UInt32(value), scalar.properties.generalCategory.abbreviation)
        }
    }()

    /// The scalars of a category (`L`, `Lu`), as ranges of a class.
    static func ranges(_ category: String) -> String {
        var ranges: [ClosedRange<UInt32>] = []
        for entry in categories where entry.category.hasPrefix(category) {
            if let last = ranges.last, last.upperBound + 1 == entry.value {
                ranges[ranges.count - 1] = last.lowerBound...entry.value
            } else {
                ranges.append(entry.value...entry.value)
            }
        }
        return ranges.map { range in
            "\\x{\(String(range.lowerBound, radix: 16))}-\\x{\(String(range.upperBound, radix: 16))}"
        }.joined()
    }
}

extension Unicode.GeneralCategory {
    /// The two letters by which patterns name the category.
    fileprivate var abbreviation: String {
        switch self {
        case .uppercaseLetter: "Lu"
        case .lowercaseLetter: "Ll"
        case .titlecaseLetter: "Lt"
        case .modifierLetter: "Lm"
        case .otherLetter: "Lo"
        case .nonspacingMark: "Mn"
        case .spacingMark: "Mc"
        case .enclosingMark: "Me"
        case .decimalNumber: "Nd"
        case .letterNumber: "Nl"
        case .otherNumber: "No"
        case .connectorPunctuation: "Pc"
        case .dashPunctuation: "Pd"
        case .openPunctuation: "Ps"
        case .closePunctuation: "Pe"
        case .initialPunctuation: "Pi"
        case .finalPunctuation: "Pf"
        case .otherPunctuation: "Po"
        case .mathSymbol: "Sm"
        case .currencySymbol: "Sc"
        case .modifierSymbol: "Sk"
        case .otherSymbol: "So"
        case .spaceSeparator: "Zs"
        case .lineSeparator: "Zl"
        case .paragraphSeparator: "Zp"
        case .control: "Cc"
        case .format: "Cf"
        case .surrogate: "Cs"
        case .privateUse: "Co"
        case .unassigned: "Cn"
        @unknown default: "Cn"
        }
    }
}

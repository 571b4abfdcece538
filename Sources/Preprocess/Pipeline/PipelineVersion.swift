import CPCRE2
import CUTF8Proc

/// What samples depend on besides files and options: this program's version of what happens to records, and the
/// libraries whose Unicode tables decide what is a letter.
enum PipelineVersion {
    /// Raised when the same dataset and options give other samples.
    static let number = 6

    /// The versions of libraries that split and normalize text.
    static let libraries = "PCRE2 \(patterns), utf8proc \(normalization), Swift \(standardLibrary)"

    private static var patterns: String {
        var version = [CChar](repeating: 0, count: 64)
        guard pcre2_config_8(UInt32(PCRE2_CONFIG_VERSION), nil) <= version.count,
            pcre2_config_8(UInt32(PCRE2_CONFIG_VERSION), &version) > 0
        else { return "unknown" }
        return String(decoding: version.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static var normalization: String {
        "\(String(cString: utf8proc_version())) of Unicode \(String(cString: utf8proc_unicode_version()))"
    }

    /// Its tables come with the compiler; a minor version may bring others.
    private static var standardLibrary: String {
        #if compiler(>=6.5)
            "6.5 or later"
        #elseif compiler(>=6.4)
            "6.4"
        #elseif compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }
}

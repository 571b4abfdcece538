import TestSupport
import Testing

@testable import Preprocess

/// The hand-written scanners against PCRE2.
struct WordScannerTests {
    static let cl100k = [
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    ]
    static let o200k = [
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    ]

    @Test func gpt2ScannerAgreesWithThePattern() throws {
        try expectAgreement(GPT2Scanner(digits: .none), GPT2Scanner.pattern)
    }

    @Test(arguments: cl100k)
    func cl100kScannerAgreesWithThePattern(pattern: String) throws {
        try expectAgreement(#require(CL100KScanner(pattern: pattern)), pattern)
    }

    @Test(arguments: o200k)
    func o200kScannerAgreesWithThePattern(pattern: String) throws {
        try expectAgreement(#require(O200KScanner(pattern: pattern)), pattern)
    }

    /// The scanner that splits digits off by itself against the pattern between digits.
    @Test(arguments: [true, false])
    func gpt2ScannerSplitsDigitsOff(individual: Bool) throws {
        let pattern = try Pattern(oniguruma: GPT2Scanner.pattern)
        let digits = try Pattern(oniguruma: individual ? #"\p{N}"# : #"\p{N}+"#)
        let scanner = GPT2Scanner(digits: individual ? .individual : .contiguous)
        try forEachText { text in
            var expected: [Range<Int>] = []
            var done = 0
            for digit in try matches(of: digits, in: text) {
                expected += try matches(of: pattern, in: Array(text[done..<digit.lowerBound])).map {
                    done + $0.lowerBound..<done + $0.upperBound
                }
                expected.append(digit)
                done = digit.upperBound
            }
            expected += try matches(of: pattern, in: Array(text[done...])).map {
                done + $0.lowerBound..<done + $0.upperBound
            }
            #expect(words(scanner, text) == expected, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test func otherPatternsHaveNoScanner() {
        #expect(CL100KScanner(pattern: GPT2Scanner.pattern) == nil)
        #expect(O200KScanner(pattern: Self.cl100k[0]) == nil)
    }

    private func expectAgreement(_ scanner: some WordScanner, _ source: String) throws {
        let pattern = try Pattern(oniguruma: source)
        try forEachText { text in
            let expected = try matches(of: pattern, in: text)
            #expect(words(scanner, text) == expected, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    private func forEachText(_ body: ([UInt8]) throws -> Void) throws {
        var generator = SplitMix64(seed: 11)
        for _ in 0..<3000 { try body(randomText(Int.random(in: 1...40, using: &generator), using: &generator)) }
    }

    private func words(_ scanner: some WordScanner, _ text: [UInt8]) -> [Range<Int>] {
        let padded = text + [UInt8](repeating: 0, count: 16)
        return padded.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return [] }
            var words: [Range<Int>] = []
            var position = 0
            while position < text.count {
                let end = scanner.endOfWord(at: position, in: ScannedText(start), upTo: text.count)
                words.append(position..<end)
                position = end
            }
            return words
        }
    }

    private func matches(of pattern: Pattern, in text: [UInt8]) throws -> [Range<Int>] {
        let matcher = Matcher()
        return try text.withUnsafeBufferPointer { text in
            var found: [Range<Int>] = []
            var position = 0
            while position < text.count, let match = try matcher.firstMatch(of: pattern, in: text, from: position) {
                found.append(match)
                position = match.upperBound
            }
            return found
        }
    }
}

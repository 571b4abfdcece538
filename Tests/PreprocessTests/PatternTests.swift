import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Patterns that are written for Hugging Face's engine, against what it makes of them.
struct PatternTests {
    private static let golden = Result {
        try Gzip.json(Fixtures.folder.appending(path: "text/patterns.json.gz"))
    }

    private static func ends(_ pattern: Pattern, _ text: [UInt8]) throws -> [Int] {
        let rule = SplitRule(.pattern(.regularExpression(pattern, source: "")), .isolated)
        let padded = text + [UInt8](repeating: 0, count: 16)
        var pieces: [Range<Int>] = []
        try padded.withUnsafeBufferPointer { bytes in
            let start = try #require(bytes.baseAddress)
            try rule.split(0..<text.count, of: start, with: Matcher(), into: &pieces)
        }
        return pieces.map(\.upperBound)
    }

    /// Each of 3,000 random patterns either splits as it does there, machine code or interpreted, or is refused.
    @Test func patternsSplitAsOnigurumaDoesOrAreRefused() throws {
        let file = try Self.golden.get()
        let texts = try #require(file.root.value["texts"]).elements.compactMap { $0.utf8.map(Array.init) }
        var (accepted, wrong): (Int, [String]) = (0, [])
        for entry in try #require(file.root.value["patterns"]).elements {
            let parts = Array(entry.elements)
            let source = try #require(parts[0].string)
            guard let pattern = try? Pattern(oniguruma: source) else { continue }
            let interpreted = try Pattern(oniguruma: source, justInTime: false)
            #expect(!interpreted.isCompiledJustInTime)
            accepted += 1
            for (text, expected) in zip(texts, parts[1].elements) {
                let expected = expected.elements.compactMap(\.int)
                for pattern in [pattern, interpreted] where try Self.ends(pattern, text) != expected {
                    wrong.append("\(source) in '\(String(decoding: text, as: UTF8.self))'")
                }
            }
        }
        #expect(wrong == [])
        // Half of them have a construct that isn't certain.
        #expect(accepted > 800, "\(accepted)")
    }

    @Test(arguments: ["\\w", "\\s", "\\d", "\\D", "."] + OnigurumaSyntax.scripts.keys.sorted().map { "\\p{\($0)}" })
    func setsOfScalarsAreOnigurumas(set: String) throws {
        let file = try Self.golden.get()
        let pattern = try Pattern(oniguruma: set)
        let matcher = Matcher()
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for scalar in (UInt32(0)..<0x110000).compactMap(Unicode.Scalar.init) {
            let text = Array(String(scalar).utf8)
            let match = try text.withUnsafeBufferPointer { try matcher.firstMatch(of: pattern, in: $0, from: 0) }
            guard match != nil else { continue }
            for byte in text { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        #expect(String(state, radix: 16) == file.root.value["sets"]?[set]?.string)
    }

    /// The pattern that isn't left to the engine matches what it does.
    @Test func spacesAtLineEndsAreThoseOfTheEngine() throws {
        let pattern = try Pattern(oniguruma: #"\s+$"#)
        let matcher = Matcher()
        var generator = SplitMix64(seed: 12)
        for _ in 0..<2000 {
            let scalars = (0..<Int.random(in: 0...14, using: &generator)).map { _ in
                [" ", "\n", "\r", "\u{A0}", "\u{2028}", "a", "é"].randomElement(using: &generator) ?? ""
            }
            let text = Array(scalars.joined().utf8)
            try text.withUnsafeBufferPointer { text in
                var position = 0
                while let match = try matcher.firstMatch(of: pattern, in: text, from: position) {
                    #expect(TextPattern.spacesAtLineEnd(in: text, from: position) == match, "\(Array(text))")
                    position = match.upperBound
                }
                #expect(TextPattern.spacesAtLineEnd(in: text, from: position) == nil, "\(Array(text))")
            }
        }
    }

    @Test(arguments: [
        ("a{2}?", "has a repeated repetition"), ("a{,2}{3}", "has a repeated repetition"),
        ("a+*", "has a repeated repetition"), ("a?+?", "has a repeated repetition"),
        ("(?=a)*b", "repeats nothing by '*'"),
        ("*a", "repeats nothing by '*'"), ("a|{2}", "repeats nothing by '{2}'"), ("a(?i)b|c", "has a group '(?i)'"),
        ("(?i:ss)", "has 'ss' where case is ignored"), ("(?i)\\p{Lu}", "where case is ignored"),
        ("(?i:[a\u{DF}])", "has '\u{DF}' where case is ignored"), ("\\x{41", "has an escape '\\x{41'"),
        ("\\x+4", "has an escape '\\x+4'"), ("[\\s-z]", "has a hyphen after a set"),
        ("[a", "has a class that doesn't end"),
        ("[!-\\d]", "has a range that ends in a set"), ("\\p{Common}", "has a property 'Common'"),
        ("a)", "without its '('"),
    ])
    func whatIsNotCertainIsRefused(pattern: String, problem: String) {
        #expect {
            try Pattern(oniguruma: pattern)
        } throws: { error in
            "\(error)".contains(problem)
        }
    }

    /// Braces that are no repetition to one engine and one to the other, and a bracket with a mark on it.
    @Test(arguments: [
        ("a{,2}", "aaab", [2, 3, 4]), ("a{ 2 }", "aaa{ 2 }", [2, 8]), ("[]\u{301}]", "]", [1]),
        ("]\u{301}", "a]\u{301}", [1, 4]),
    ])
    func bracesAndBracketsAreOnigurumas(pattern: String, text: String, ends: [Int]) throws {
        do {
            #expect(try Self.ends(Pattern(oniguruma: pattern), Array(text.utf8)) == ends)
        } catch let error as PatternError {
            #expect(error.description.contains("empty class"))
        }
    }
}

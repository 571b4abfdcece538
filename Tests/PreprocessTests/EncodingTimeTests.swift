import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// The time that encoding takes grows as the text does, whatever the tokenizer and whatever the text.
@Suite(.serialized)
struct EncodingTimeTests {
    /// Text of at least that many bytes.
    private static let texts: [(name: String, make: @Sendable (Int) -> String)] = [
        ("marks of two classes", { repeated("\u{301}\u{323}", $0) }),
        ("a letter with many marks", { "e" + repeated("\u{323}\u{301}\u{334}", $0) }),
        ("composed letters with marks", { repeated("\u{1EAF}\u{323}", $0) }),
        ("Hangul's parts", { repeated("\u{1100}\u{1161}\u{11A8}", $0) }),
        ("the longest decomposition", { repeated("\u{FDFA}", $0) }),
        ("one letter", { repeated("a", $0) }), ("one capital", { repeated("A", $0) }),
        ("one CJK letter", { repeated("中", $0) }), ("two letters alternating", { repeated("ab", $0) }),
        ("a long word", { word($0) }), ("digits", { repeated("1234567890", $0) }),
        ("spaces", { repeated(" ", $0) }), ("spaces before a letter", { repeated(" ", $0) + "x" }),
        ("spaces and tabs before a letter", { repeated(" \t", $0) + "x" }),
        ("no-break spaces before a letter", { repeated("\u{A0}", $0) + "x" }),
        ("line ends before a letter", { repeated("\n", $0) + "x" }), ("blank lines", { repeated(" \n", $0) }),
        ("SentencePiece's spaces", { repeated("▁", $0) + "x" }), ("apostrophes", { repeated("'", $0) }),
        ("punctuation", { repeated("-=", $0) }), ("slashes", { repeated("/", $0) }),
        ("beginnings of special tokens", { repeated("<|im_sta", $0) }), ("brackets", { repeated("<", $0) }),
        ("special tokens", { repeated("<|im_end|>", $0) }), ("special tokens that strip", { repeated("<left> ", $0) }),
        ("spaces around one that strips", { repeated(" ", $0 / 2) + "<both>" + repeated(" ", $0 / 2) }),
        ("emojis with joiners", { repeated("\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}", $0) }),
        ("scripts alternating", { repeated("aбγ中अ한", $0) }), ("control characters", { repeated("\u{1}", $0) }),
        ("unassigned scalars", { repeated("\u{E0080}", $0) }), ("byte tokens' texts", { repeated("<0x41>", $0) }),
    ]

    private static func repeated(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count / text.utf8.count + 1)
    }

    private static func word(_ count: Int) -> String {
        var generator = SplitMix64(seed: 4)
        return String(decoding: (0..<count).map { _ in UInt8.random(in: 97...122, using: &generator) }, as: UTF8.self)
    }

    private static let kinds =
        (try? FileManager.default.contentsOfDirectory(
            atPath: Fixtures.folder.appending(path: "tokenizers").path(percentEncoded: false)
        ).sorted()) ?? []

    /// CPU seconds of this thread for a text; the least of a few tries, since others use the CPU too.
    private static func seconds(_ encoder: TokenEncoder, _ text: [UInt8]) throws -> Double {
        let encoded = EncodedText()
        return try text.withUnsafeBufferPointer { bytes in
            let start = threadSeconds
            try encoder.encode(bytes, into: encoded)
            return threadSeconds - start
        }
    }

    @Test func thereAreTokenizersOfEveryKind() { #expect(Self.kinds.count >= 25) }

    /// Eight times the text takes about eight times the time, and sixty-four times if it is quadratic.
    @Test(arguments: kinds)
    func eightTimesTheTextTakesEightTimesTheTime(kind: String) throws {
        try expectLinearTime(fixtureTokenizer(kind), kind)
    }

    /// DeepSeek Coder's splits, of which an engine takes quadratic time for `\s+$`.
    @Test func splitsAtLineEndsTakeLinearTime() throws {
        let splits = [#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, #"\s+$"#, "[一-龥]+"].map { pattern in
            JSONText.object([
                ("type", .string("Split")), ("pattern", .object([("Regex", .string(pattern))])),
                ("behavior", .string("Isolated")),
            ])
        }
        let model = JSONText.object([
            ("type", .string("BPE")), ("vocab", .object([("a", .int(0)), (" ", .int(1))])), ("merges", .array([])),
        ])
        let document = JSONText.object([
            (
                "pre_tokenizer",
                .object([("type", .string("Sequence")), ("pretokenizers", .array(splits))])
            ), ("model", model),
        ])
        let file = try JSONFile(contents: Array(document.compact.utf8), path: "tokenizer.json")
        try expectLinearTime(Tokenizer(tokenizer: file.root, config: nil), "splits")
    }

    private func expectLinearTime(_ tokenizer: Tokenizer, _ kind: String) throws {
        for (name, make) in Self.texts {
            let (short, long) = (Array(make(2_000).utf8), Array(make(16_000).utf8))
            var ratio = Double.infinity
            // Each with an encoder of its own: what one remembers helps the next.
            for _ in 0..<4 where ratio > 24 {
                let first = try Self.seconds(tokenizer.makeEncoder(), short)
                let second = try Self.seconds(tokenizer.makeEncoder(), long)
                ratio = second < 0.002 ? 0 : second / first
            }
            #expect(ratio <= 24, "\(kind): \(name)")
        }
    }
}

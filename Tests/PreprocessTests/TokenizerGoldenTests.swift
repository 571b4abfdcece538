import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// What Hugging Face's tokenizers make of texts, and what Eyrie makes of them.
struct TokenizerGoldenTests {
    static let kinds = [
        "digits", "gpt2", "gpt2-prefix", "llama3", "qwen2", "o200k", "deepseek", "behaviors", "clip", "llama2", "gemma",
        "metaspace-first", "metaspace-unknown", "words", "bert", "unigram", "unigram-bytes",
    ]
    /// Whose offsets Hugging Face takes wrong: it forgets characters that have no token.
    static let dropping = ["digits", "bert"]
    static let small = Result { try Gzip.json(Fixtures.folder.appending(path: "text/small-tokenizers.json.gz")) }

    private struct Golden {
        let texts: [[UInt8]]
        let ids: [[Int]]
        let decoded: [[UInt8]]
        let offsets: [[Range<Int>]?]

        init(_ root: JSONValue, _ name: String) throws {
            func strings(_ value: JSONValue?) -> [[UInt8]] {
                value?.elements.compactMap { $0.utf8.map(Array.init) } ?? []
            }
            texts = strings(root["texts"])
            let tokenizer = try #require(root["tokenizers"]?[name])
            ids = tokenizer["ids"]?.elements.map { $0.elements.compactMap(\.int) } ?? []
            decoded = strings(tokenizer["decoded"])
            offsets =
                tokenizer["offsets"]?.elements.map { text in
                    text.isNull
                        ? nil
                        : text.elements.map { pair in
                            let ends = pair.elements.compactMap(\.int)
                            return ends[0]..<ends[1]
                        }
                } ?? []
            #expect(!texts.isEmpty && texts.count == ids.count && texts.count == decoded.count)
        }
    }

    private func expectEqualIDs(_ tokenizer: Tokenizer, _ golden: Golden) throws {
        let encoder = tokenizer.makeEncoder()
        for (i, text) in golden.texts.enumerated() {
            #expect(
                try encoder.encode(text).ids == golden.ids[i], "text \(i): \(String(decoding: text, as: UTF8.self))")
            #expect(
                try String(decoding: tokenizer.decode(golden.ids[i]), as: UTF8.self)
                    == String(decoding: golden.decoded[i], as: UTF8.self))
        }
    }

    @Test(arguments: kinds)
    func smallTokenizersGiveHuggingFacesIDs(kind: String) throws {
        try expectEqualIDs(fixtureTokenizer(kind), Golden(Self.small.get().root.value, kind))
    }

    @Test func smolLM2GivesHuggingFacesIDs() throws {
        let file = try Gzip.json(Fixtures.goldens.appending(path: "text/tokenizers.json.gz"))
        try expectEqualIDs(fixtureTokenizer("smollm2"), Golden(file.root.value, "smollm2"))
    }

    /// Hugging Face's offsets are of characters; a token that is a part of a character has the whole one's.
    @Test(arguments: kinds.filter { !dropping.contains($0) })
    func offsetsAreThoseOfHuggingFaceWithinCharacters(kind: String) throws {
        let golden = try Golden(Self.small.get().root.value, kind)
        let encoder = try fixtureTokenizer(kind).makeEncoder()
        for (i, text) in golden.texts.enumerated() {
            guard let expected = golden.offsets[i] else { continue }
            let widened = try encoder.encode(text).ranges.map { range in
                var (start, end) = (range.lowerBound, range.upperBound)
                while start < text.count, text[start] & 0xC0 == 0x80 { start -= 1 }
                while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
                return start..<end
            }
            #expect(widened == expected, "text \(i): \(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test(arguments: kinds)
    func offsetsAreInOrderAndWithinTheText(kind: String) throws {
        let golden = try Golden(Self.small.get().root.value, kind)
        let encoder = try fixtureTokenizer(kind).makeEncoder()
        for text in golden.texts {
            let ranges = try encoder.encode(text).ranges
            for (range, next) in zip(ranges, ranges.dropFirst()) {
                #expect(range.lowerBound <= next.lowerBound && range.upperBound <= next.upperBound)
            }
            #expect((ranges.last?.upperBound ?? 0) <= text.count)
        }
    }
}

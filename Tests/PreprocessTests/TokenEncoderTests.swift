import TestSupport
import Testing

@testable import Preprocess

struct TokenEncoderTests {
    @Test(arguments: ["digits", "llama3", "deepseek", "smollm2"])
    func cacheNeverChangesTheTokens(kind: String) throws {
        let tokenizer = try fixtureTokenizer(kind)
        let warm = tokenizer.makeEncoder()
        var generator = SplitMix64(seed: 3)
        for _ in 0..<400 {
            let text = randomText(Int.random(in: 1...400, using: &generator), using: &generator)
            let (first, second) = (try warm.encode(text), try warm.encode(text))
            #expect(first == second)
        }
        generator = SplitMix64(seed: 3)
        for _ in 0..<5 {
            let text = randomText(Int.random(in: 1...400, using: &generator), using: &generator)
            #expect(try warm.encode(text) == tokenizer.makeEncoder().encode(text))
        }
    }

    /// Words longer than those merged pair by pair, against the definition: the lowest rank, leftmost, again and again.
    @Test func longWordsMergeAsShortOnesDo() throws {
        guard case .bytePairEncoding(let model) = try fixtureTokenizer("gpt2").model else {
            Issue.record("not byte-pair encoding")
            return
        }
        let merger = WordMerger(model)
        var generator = SplitMix64(seed: 5)
        for length in [2, 3, 17, 63, 64, 65, 66, 200, 900] {
            for _ in 0..<20 {
                let word = (0..<length).map { _ in "aeinost hr".utf8.randomElement(using: &generator) ?? 97 }
                word.withUnsafeBufferPointer { merger.encode($0) }
                #expect(merger.tokens == Self.mergedByDefinition(word, model))
            }
        }
    }

    private static func mergedByDefinition(_ word: [UInt8], _ model: BytePairEncoding) -> [Int32] {
        var tokens = word.map { model.byteTokens[Int($0)] }
        while true {
            let merges = zip(tokens, tokens.dropFirst()).map { model.merges.merge($0, $1) }
            guard let best = merges.min(), best != MergeTable.none, let place = merges.firstIndex(of: best) else {
                return tokens
            }
            tokens[place...place + 1] = [MergeTable.merged(best)]
        }
    }

    /// A word of a million bytes would take hours if merging were quadratic.
    @Test(.timeLimit(.minutes(1)), arguments: ["a", " ", "中", "=-"])
    func noInputIsQuadratic(run: String) throws {
        let text = Array(String(repeating: run, count: 1_000_000 / run.utf8.count).utf8)
        let (ids, ranges) = try fixtureTokenizer("llama3").makeEncoder().encode(text)
        #expect(!ids.isEmpty && ranges.last?.upperBound == text.count)
    }

    @Test func offsetsOfComposedTextReachOverWhatWasComposed() throws {
        let encoder = try fixtureTokenizer("qwen2").makeEncoder()
        let text = "ab e\u{301}\u{1F642}cd"
        let (ids, ranges) = try encoder.encode(Array(text.utf8))
        #expect(try ids == encoder.ids("ab \u{E9}\u{1F642}cd"))
        let composed = try #require(ranges.first { $0.contains(3) })
        #expect(composed.upperBound >= 6)
        #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == text.utf8.count)
    }

    @Test func decodingGivesTheTextBack() throws {
        let tokenizer = try fixtureTokenizer("llama3")
        let encoder = tokenizer.makeEncoder()
        var generator = SplitMix64(seed: 9)
        for _ in 0..<200 {
            let text = randomText(50, using: &generator)
            #expect(try tokenizer.decode(encoder.encode(text).ids) == text)
        }
    }

    /// U+11DE0, a digit since Unicode 17.0: `Digits` splits it off, GPT-2's pattern doesn't know it.
    @Test func digitsThatOnlySomeStepsKnowAreSplitOff() throws {
        let scanner = GPT2Scanner(digits: .contiguous)
        let text = Array("ab \u{11DE0}\u{11DE1}12 .\u{11DE0}".utf8) + [UInt8](repeating: 0, count: 16)
        text.withUnsafeBufferPointer { text in
            guard let start = text.baseAddress else { return }
            var ends = [0]
            while let last = ends.last, last < text.count - 16 {
                ends.append(scanner.endOfWord(at: last, in: ScannedText(start), upTo: text.count - 16))
            }
            #expect(ends == [0, 2, 3, 11, 13, 15, 19])
        }
    }

    @Test func emptyTextHasNoTokens() throws {
        #expect(try fixtureTokenizer("smollm2").makeEncoder().ids("") == [])
    }
}

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

    /// Long words in many rounds of a few pairs each, as words of megabytes are merged: the same tokens at the same positions.
    @Test(arguments: ["gpt2", "llama3", "deepseek", "smollm2"])
    func roundsOfFewPairsMergeAsOneDoes(kind: String) throws {
        guard case .bytePairEncoding(let model) = try fixtureTokenizer(kind).model else {
            Issue.record("not byte-pair encoding")
            return
        }
        var generator = SplitMix64(seed: 6)
        for alphabet in ["aeinost hr", "a", "ab", "etaoinshrdlucmfwypvbgkqjxz", "=-#*", "0123456789abcdef"] {
            for length in [2, 65, 700, 2500] {
                let word = (0..<length).map { _ in alphabet.utf8.randomElement(using: &generator) ?? 97 }
                let expected = Self.mergedByDefinition(word, model)
                for fewest in [1, 2, 30, 1 << 16] {
                    var merger = LongWordMerger()
                    merger.fewest = fewest
                    var tokens = word.map { model.byteTokens[Int($0)] }
                    tokens.withUnsafeMutableBufferPointer { merger.merge($0, model.merges) }
                    #expect(tokens.filter { $0 >= 0 } == expected, "\(alphabet) \(length) \(fewest)")
                    let positions = tokens.indices.filter { tokens[$0] >= 0 }
                    let ends = expected.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int(model.lengths[Int($1)])) }
                    #expect(positions == ends.dropLast())
                }
            }
        }
    }

    /// Merges in an order that no training gives: what two tokens merge to merges before they do.
    @Test func ranksInAnyOrderMergeByDefinition() {
        var generator = SplitMix64(seed: 7)
        for _ in 0..<200 {
            var rules: [MergeTable.Rule] = []
            var count: Int32 = 3
            for _ in 0..<40 {
                let (left, right) = (
                    Int32.random(in: 0..<count, using: &generator), Int32.random(in: 0..<count, using: &generator)
                )
                guard !rules.contains(where: { $0.left == left && $0.right == right }) else { continue }
                rules.append((left, right, count, UInt32.random(in: 0..<30, using: &generator)))
                count += 1
            }
            let merges = MergeTable(rules)
            let word = (0..<300).map { _ in Int32.random(in: 0..<3, using: &generator) }
            let expected = Self.mergedByDefinition(word, merges)
            for fewest in [1, 5, 1000] {
                var merger = LongWordMerger()
                merger.fewest = fewest
                var tokens = word
                tokens.withUnsafeMutableBufferPointer { merger.merge($0, merges) }
                #expect(tokens.filter { $0 >= 0 } == expected)
            }
        }
    }

    /// What follows the tokens that are wanted changes none of them.
    @Test(arguments: ["digits", "llama3", "smollm2", "gemma", "unigram"])
    func aLimitGivesTheFirstTokens(kind: String) throws {
        let tokenizer = try fixtureTokenizer(kind)
        let (encoder, encoded) = (tokenizer.makeEncoder(), EncodedText())
        var generator = SplitMix64(seed: 8)
        for _ in 0..<50 {
            let text = randomText(200, using: &generator) + Array("<|im_start|> abc".utf8)
            let (whole, _) = try encoder.encode(text)
            for limit in [1, 10, 60, 100_000] {
                try text.withUnsafeBufferPointer { try encoder.encode($0, into: encoded, upTo: limit) }
                let isBeginning = whole.starts(with: encoded.ids.map(Int.init))
                #expect(encoded.count >= min(limit, whole.count) && isBeginning, "\(limit)")
            }
        }
    }

    private static func mergedByDefinition(_ word: [UInt8], _ model: BytePairEncoding) -> [Int32] {
        mergedByDefinition(word.map { model.byteTokens[Int($0)] }, model.merges)
    }

    private static func mergedByDefinition(_ word: [Int32], _ merges: MergeTable) -> [Int32] {
        var tokens = word
        var pairs = zip(tokens, tokens.dropFirst()).map { merges.merge($0, $1) }
        while true {
            guard let best = pairs.map(MergeTable.rank).min(), best != MergeTable.rank(MergeTable.none),
                let index = pairs.firstIndex(where: { MergeTable.rank($0) == best })
            else { return tokens }
            tokens[index...index + 1] = [MergeTable.merged(pairs[index])]
            pairs.remove(at: index)
            if index < pairs.count { pairs[index] = merges.merge(tokens[index], tokens[index + 1]) }
            if index > 0 { pairs[index - 1] = merges.merge(tokens[index - 1], tokens[index]) }
        }
    }

    /// A word of many rounds of merges.
    ///
    /// That time is linear, for every tokenizer, is in EncodingTimeTests.
    @Test(arguments: ["a", " ", "中", "=-"])
    func aLongWordIsEncodedToItsEnd(run: String) throws {
        let text = Array(String(repeating: run, count: 100_000 / run.utf8.count).utf8)
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

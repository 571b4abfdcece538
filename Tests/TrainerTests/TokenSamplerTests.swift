import Foundation
import Shared
import Testing

@testable import Trainer

/// Tokens are drawn with the probabilities that the options leave them.
struct TokenSamplerTests {
    private static let count = 700

    /// Logits of which some are alike and most are far below the greatest.
    private static let logits: [Float] = {
        var generator = SplitMix64(seed: 5)
        return (0..<count).map { index in
            index % 100 == 7 ? Float(4 * generator.uniform()) : Float(-6 + 4 * generator.uniform())
        }
    }()

    /// The probabilities by the definition, in double precision and without any shortcut.
    private static func probabilities(_ options: SamplingOptions, seen: [Int32]) -> [Double] {
        var logits = logits.map(Double.init)
        for token in seen {
            let (logit, penalty) = (logits[Int(token)], Double(options.repetitionPenalty))
            logits[Int(token)] = logit > 0 ? logit / penalty : logit * penalty
        }
        let most = logits.max() ?? 0
        var weights = logits.map { exp(($0 - most) / Double(options.temperature)) }
        let order = weights.indices.sorted { weights[$0] != weights[$1] ? weights[$0] > weights[$1] : $0 < $1 }
        if options.topK > 0 { for index in order.dropFirst(options.topK) { weights[index] = 0 } }
        let total = weights.reduce(0, +)
        var mass = 0.0
        for index in order {
            if options.topP < 1, mass >= Double(options.topP) * total { weights[index] = 0 }
            mass += weights[index]
        }
        for index in weights.indices where weights[index] < Double(options.minP) { weights[index] = 0 }
        let left = weights.reduce(0, +)
        return weights.map { $0 / left }
    }

    private static func draw(
        _ sampler: TokenSampler, seen: [Int32], uniform: Double
    ) -> Int {
        var row = logits
        return row.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return -1 }
            return sampler.draw(start, count, seen: seen, uniform: uniform).map(Int.init) ?? -1
        }
    }

    @Test(arguments: [
        ["--temperature=1"], ["--temperature=0.6"], ["--temperature=1", "--top-k=12"],
        ["--temperature=1.3", "--top-p=0.8"], ["--temperature=1", "--min-p=0.05"],
        ["--temperature=1", "--top-k=15", "--top-p=0.7"], ["--temperature=2", "--top-k=500", "--min-p=0.001"],
        ["--temperature=1", "--repetition-penalty=1.5"], ["--temperature=3", "--top-p=0.999"],
    ])
    func drawsByTheExactProbabilities(words: [String]) throws {
        let options = try SamplingOptions.parse(words)
        let sampler = TokenSampler(Sampling(options))
        let seen: [Int32] = [7, 107, 8, 9]
        let expected = Self.probabilities(options, seen: seen)
        let draws = 4000
        var counts = [Int](repeating: 0, count: Self.count)
        for index in 0..<draws {
            counts[Self.draw(sampler, seen: seen, uniform: SamplingOptions.uniform(seed: 11, index: index))] += 1
        }
        // Those that are left out are never drawn, whatever the number.
        for (count, probability) in zip(counts, expected) where probability == 0 { #expect(count == 0) }
        // Chi-square, rare tokens together.
        var (statistic, degrees, rare) = (0.0, -1, (count: 0, expected: 0.0))
        func add(_ count: Int, _ expected: Double) {
            statistic += pow(Double(count) - expected, 2) / expected
            degrees += 1
        }
        for (count, probability) in zip(counts, expected) {
            let mean = probability * Double(draws)
            if mean >= 5 { add(count, mean) } else { rare = (rare.count + count, rare.expected + mean) }
        }
        if rare.expected >= 5 { add(rare.count, rare.expected) }
        // Beyond mean + 5 standard deviations, once in more than a million tests.
        #expect(statistic < Double(degrees) + 5 * (2 * Double(max(1, degrees))).squareRoot())
        #expect(degrees >= 2)
    }

    @Test func withoutTemperatureTheMostProbableTokenIsTaken() throws {
        let largest = try #require(Self.logits.indices.max { Self.logits[$0] < Self.logits[$1] })
        let sampler = TokenSampler(Sampling(temperature: 0, topK: 3))
        #expect(Self.draw(sampler, seen: [], uniform: 0.9) == largest)
        let penalized = TokenSampler(
            Sampling(try SamplingOptions.parse(["--temperature=0", "--repetition-penalty=100"])))
        #expect(Self.draw(penalized, seen: [Int32(largest)], uniform: 0.9) != largest)
    }

    /// The edges of (0, 1) draw the first and the last token that there is.
    @Test(arguments: [["--top-k=1"], ["--top-p=0.0001"], ["--min-p=1"]])
    func whatLeavesOneTokenTakesTheMostProbable(words: [String]) throws {
        let largest = try #require(Self.logits.indices.max { Self.logits[$0] < Self.logits[$1] })
        let sampler = TokenSampler(Sampling(try SamplingOptions.parse(words)))
        for uniform in [1e-17, 0.5, 1 - 1e-16] { #expect(Self.draw(sampler, seen: [], uniform: uniform) == largest) }
    }

    @Test func numbersOfAnAnswerAreThoseOfItsStream() {
        var generator = SplitMix64(seed: 9)
        for index in 0..<5 { #expect(SamplingOptions.uniform(seed: 9, index: index) == generator.uniform()) }
    }

    /// Nothing is drawn of logits that are no numbers, whatever the options.
    @Test(arguments: [
        Sampling(), Sampling(temperature: 1), Sampling(temperature: 1, topP: 0.9), Sampling(temperature: 1, topK: 3),
        Sampling(temperature: 1, minP: 0.1),
    ])
    func nothingIsDrawnOfWhatIsNoNumber(options: Sampling) {
        for value in [Float.nan, .infinity, -.infinity] {
            var row = [Float](repeating: value, count: 100)
            let token = row.withUnsafeMutableBufferPointer { buffer in
                buffer.baseAddress.flatMap { TokenSampler(options).draw($0, 100, seen: [], uniform: 0.5) }
            }
            #expect(token == nil, "\(value)")
        }
    }
}

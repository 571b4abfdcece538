import Shared
import Testing

@testable import Trainer

/// Speculative decoding gives what plain decoding gives, and counts what it gives.
struct SpeculativeDecodingTests {
    /// A draft that knows what comes, and is wrong every so often.
    private final class Foreseeing: Drafting {
        private let text: [Int32]
        private let wrongEvery: Int
        private var count = 0

        /// - Parameter text: The prompt and what plain decoding gives after it.
        init(_ text: [Int32], wrongEvery: Int) { (self.text, self.wrongEvery) = (text, wrongEvery) }

        func restart() { count = 0 }
        func advance(features: Matrix, next: [Int32]) { count += next.count }
        func draft(_ count: Int) -> [Int32] {
            (self.count + 1..<self.count + 1 + count).map { index in
                let token = index < text.count ? text[index] : 0
                return index.isMultiple(of: wrongEvery) ? token + 1 : token
            }
        }
    }

    /// Families whose layers have a state that goes from token to token, or read each other's keys.
    static let hybrids = [
        "lfm2", "lfm2-moe", "qwen3.5", "qwen3.5-moe", "nemotron-h", "granite-hybrid", "gemma4-e", "deepseek-v3",
    ]

    /// States go back to what they were before the tokens that are not accepted.
    @Test(arguments: hybrids, [2, 3, 1000])
    func hybridsGiveThePlainTokens(family: String, wrongEvery: Int) throws {
        let golden = try TargetGolden(family)
        let model = try golden.load(AbsentRanks(), positions: 80)
        let target = TargetDecoder(model, targetLayers: [0], capacity: 80, workspace: Workspace())
        for length in [1, 8, 20] {
            let prompt = Array(golden.ids.prefix(length))
            let plain = SpeculativeDecoding.plain(target, prompt: prompt, limit: 24, endTokens: []).tokens
            let (tokens, statistics, _) = SpeculativeDecoding.speculative(
                target, Foreseeing(prompt + plain, wrongEvery: wrongEvery), prompt: prompt, limit: 24, draftLength: 5,
                endTokens: [])
            #expect(tokens == plain)
            #expect(statistics.accepted > 0 && statistics.verifications < 24)
        }
    }

    @Test(arguments: [1, 5, SpeculativeDecoding.longestDraft], [3, 7, 1000])
    func countsTheTokensThatItGivesAndNoOthers(draftLength: Int, wrongEvery: Int) throws {
        let golden = try TargetGolden("llama")
        let model = try golden.load(AbsentRanks())
        let target = TargetDecoder(model, targetLayers: [0], capacity: 80, workspace: Workspace())
        let prompt = Array(golden.ids.prefix(8))
        let whole = SpeculativeDecoding.plain(target, prompt: prompt, limit: 24, endTokens: []).tokens
        for limit in [1, 2, 7, 24] {
            // Without an end, and with one that comes in the midst of what is accepted.
            for end in [[], Set([whole[5]]), Set([whole[0]])] as [Set<Int32>] {
                let plain = SpeculativeDecoding.plain(target, prompt: prompt, limit: limit, endTokens: end).tokens
                let (tokens, statistics, accepted) = SpeculativeDecoding.speculative(
                    target, Foreseeing(prompt + whole, wrongEvery: wrongEvery), prompt: prompt, limit: limit,
                    draftLength: draftLength, endTokens: end)
                #expect(tokens == plain)
                #expect(statistics.tokens == tokens.count - 1, "the first token is the prompt's")
                #expect(statistics.tokens == statistics.verifications + statistics.accepted)
                #expect(statistics.acceptedAt.reduce(0, +) == statistics.accepted)
                #expect(accepted.count == statistics.verifications && accepted.reduce(0, +) == statistics.accepted)
            }
        }
    }
}

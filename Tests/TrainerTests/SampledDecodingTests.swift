import Foundation
import Shared
import Testing

@testable import Trainer

/// A draft changes neither what is sampled nor how often.
struct SampledDecodingTests {
    /// A draft that knows the target's likeliest tokens after any text.
    private final class Likeliest: Drafting {
        private let target: TargetDecoder
        private var text: [Int32]
        private let first: Int32
        private var known: [[Int32]: Int32] = [:]

        init(_ target: TargetDecoder, first: Int32) { (self.target, self.first, text) = (target, first, [first]) }

        func restart() { text = [first] }
        func advance(features: Matrix, next: [Int32]) { text += next }
        func draft(_ count: Int) -> [Int32] {
            var drafted: [Int32] = []
            while drafted.count < count { drafted.append(next(after: text + drafted)) }
            return drafted
        }

        private func next(after text: [Int32]) -> Int32 {
            if let token = known[text] { return token }
            target.truncate(to: 0)
            let token = target.run(text, onlyLast: true).next[0]
            known[text] = token
            return token
        }
    }

    private static func decoder(_ model: DecoderTargetModel) -> TargetDecoder {
        TargetDecoder(model, targetLayers: [0], capacity: 64, workspace: Workspace())
    }

    /// With states that are rolled back too, on ranks that have a part of the logits each, and by any of the options.
    @Test(arguments: ["llama", "lfm2", "qwen3.5"], [1, 2])
    func givesTheTokensOfPlainDecoding(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        let prompt = Array(golden.ids.prefix(9))
        let samplings = [
            Sampling(temperature: 0.05), Sampling(temperature: 1), Sampling(temperature: 1, topP: 0.3),
            Sampling(temperature: 2, topK: 3), Sampling(temperature: 1, minP: 0.5),
        ]
        let all = try ThreadCommunicator.run(tpSize) { communicator in
            let model = try golden.load(communicator, positions: 64)
            let (target, draft) = (Self.decoder(model), Likeliest(Self.decoder(model), first: prompt[0]))
            return (0..<20 as Range<UInt64>).map { seed -> [[Int32]] in
                let sampling = samplings[Int(seed) % samplings.count]
                let drawing = TokenDrawing(sampler: TokenSampler(sampling), seed: seed)
                let plain = SpeculativeDecoding.plain(
                    target, prompt: prompt, limit: 16, endTokens: [], drawing: drawing)
                let drafted = SpeculativeDecoding.speculative(
                    target, draft, prompt: prompt, limit: 16, draftLength: 3, endTokens: [], drawing: drawing)
                return [plain.tokens, drafted.tokens, [Int32(drafted.statistics.accepted)]]
            }
        }
        for runs in all {
            for run in runs { #expect(run[0] == run[1] && run[0].count == 16) }
            #expect(runs.contains { $0[2][0] > 0 }, "something was accepted")
            #expect(Set(runs.map { $0[0] }).count > 10, "seeds make a difference")
            #expect(runs.map { $0[0] } == all[0].map { $0[0] }, "ranks agree")
        }
    }

    /// Many short answers, by the chi-square test: of each text of three tokens as many as its probability says.
    @Test func givesEachTextWithTheTargetsProbability() throws {
        let golden = try TargetGolden("llama")
        let model = try golden.load(AbsentRanks(), positions: 64)
        let prompt = Array(golden.ids.prefix(5))
        let (kept, count) = (3, 4000)
        let logits = Self.logits(model, prompt).sorted(by: >)
        let sampling = Sampling(temperature: Float(logits[0] - logits[kept - 1]) / 1.5, topK: kept)
        let draft = Likeliest(Self.decoder(model), first: prompt[0])
        let target = Self.decoder(model)
        var found: [[Int32]: Int] = [:]
        var statistics = SpeculativeDecoding.Statistics(draftLength: 2)
        for seed in 0..<UInt64(count) {
            let answer = SpeculativeDecoding.speculative(
                target, draft, prompt: prompt, limit: 3, draftLength: 2, endTokens: [],
                drawing: TokenDrawing(sampler: TokenSampler(sampling), seed: seed))
            found[answer.tokens, default: 0] += 1
            statistics.add(answer.statistics)
        }
        let expected = Self.texts(model, prompt, sampling, length: 3)
        #expect(abs(expected.values.reduce(0, +) - 1) < 1e-9 && expected.count == 27)
        #expect(found.keys.allSatisfy { expected[$0] != nil })
        #expect(Self.isLikely(found, expected, count))
        // The test tells a temperature that is a quarter higher.
        let warmer = Sampling(temperature: sampling.temperature * 1.25, topK: kept)
        #expect(!Self.isLikely(found, Self.texts(model, prompt, warmer, length: 3), count))
        #expect(statistics.acceptedAt[0] > count / 5 && statistics.acceptedAt[0] < count, "some are refused")
    }

    /// Whether counts are within five standard deviations of what the chi-square distribution has, with rare texts together.
    private static func isLikely(_ found: [[Int32]: Int], _ expected: [[Int32]: Double], _ count: Int) -> Bool {
        var (squares, cells) = (0.0, 0)
        var rare = (found: 0, expected: 0.0)
        for (text, probability) in expected {
            let wanted = probability * Double(count)
            guard wanted >= 5 else {
                rare = (rare.found + (found[text] ?? 0), rare.expected + wanted)
                continue
            }
            squares += pow(Double(found[text] ?? 0) - wanted, 2) / wanted
            cells += 1
        }
        if rare.expected > 0 {
            squares += pow(Double(rare.found) - rare.expected, 2) / rare.expected
            cells += 1
        }
        let freedom = Double(cells - 1)
        return squares < freedom + 5 * (2 * freedom).squareRoot()
    }

    /// The probability of each text that can follow, by the definition and in double precision.
    private static func texts(
        _ model: DecoderTargetModel, _ prompt: [Int32], _ sampling: Sampling, length: Int
    ) -> [[Int32]: Double] {
        guard length > 0 else { return [[]: 1] }
        let logits = logits(model, prompt)
        let best = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(sampling.topK)
        let weights = best.map { exp((logits[$0] - logits[best[0]]) / Double(sampling.temperature)) }
        var all: [[Int32]: Double] = [:]
        for (token, weight) in zip(best, weights) {
            let share = weight / weights.reduce(0, +)
            for (rest, probability) in texts(model, prompt + [Int32(token)], sampling, length: length - 1) {
                all[[Int32(token)] + rest] = share * probability
            }
        }
        return all
    }

    /// The target's logits after a text.
    private static func logits(_ model: DecoderTargetModel, _ text: [Int32]) -> [Double] {
        let workspace = Workspace(model.memory.compute)
        return workspace.scope {
            let x = workspace.matrix(rows: text.count, columns: model.configuration.hiddenSize)
            let cache = model.makeCache(capacity: text.count)
            model.embed(text, into: x)
            model.forward(x, DecoderRows(continuing: cache, text), in: workspace) { _, _ in }
            let logits = workspace.matrix(rows: 1, columns: model.vocabulary.count)
            model.logits(x[rows: text.count - 1..<text.count], into: logits)
            return logits.elements.map(Double.init)
        }
    }
}

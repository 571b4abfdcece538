import Glibc
import Shared

/// Draws tokens from logits: repetition penalty, temperature, the k most probable, the fewest that sum to p, and those of
/// at least a share of the greatest probability, in this order, as Hugging Face's `generate` applies them.
///
/// (Keskar and others 2019, Fan and others 2018, Holtzman and others 2020, Nguyen and others 2024.) What is drawn follows
/// from the logits and one number in (0, 1) alone.
final class TokenSampler {
    private let options: Sampling
    /// Candidates: their tokens and probabilities relative to the greatest, the most probable first in the end.
    private var candidates: [(token: Int32, weight: Float)] = []

    init(_ options: Sampling) { self.options = options }

    /// A token for one row of logits, which may be overwritten; nil if the greatest of them is no finite number.
    ///
    /// - Parameters:
    ///   - seen: Tokens that are there already, each once.
    ///   - uniform: In (0, 1); without effect if the most probable token is always taken.
    func draw(_ logits: UnsafeMutablePointer<Float>, _ count: Int, seen: [Int32], uniform: Double) -> Int32? {
        let penalty = options.repetitionPenalty
        if penalty != 1 {
            for token in seen {
                let logit = logits[Int(token)]
                logits[Int(token)] = logit > 0 ? logit / penalty : logit * penalty
            }
        }
        let most = indexOfMaximum(logits, count)
        guard logits[most].isFinite else { return nil }
        guard !options.isGreedy else { return Int32(most) }
        let largest = Vector(repeating: logits[most])
        let factor = Vector(repeating: 1 / options.temperature)
        // Far below the greatest, probabilities are 0 and not the least that `exp` gives.
        for i in stride(from: 0, to: count, by: 16) {
            let x = (logits.load(i, of: count) - largest) * factor
            logits.store(exp(x).replacing(with: 0, where: x .< -80), i, of: count)
        }
        if options.topK == 0, options.topP == 1, options.minP == 0 { return drawOfAll(logits, count, uniform) }
        return drawOfSome(logits, count, uniform)
    }

    /// Weights are float32; a vocabulary of them is added up in double precision.
    private static let block = 1024

    private func sum(_ weights: UnsafeMutablePointer<Float>, _ count: Int) -> Double {
        stride(from: 0, to: count, by: Self.block).reduce(0) { sum, first in
            sum + Self.blockSum(weights + first, min(Self.block, count - first))
        }
    }

    private static func blockSum(_ weights: UnsafeMutablePointer<Float>, _ count: Int) -> Double {
        var sum = Vector.zero
        for i in stride(from: 0, to: count, by: 16) { sum += weights.load(i, of: count) }
        return Double(sum.total)
    }

    /// Walks over all tokens in the vocabulary's order.
    private func drawOfAll(_ weights: UnsafeMutablePointer<Float>, _ count: Int, _ uniform: Double) -> Int32 {
        var left = uniform * sum(weights, count)
        var last: Int32 = 0
        for first in stride(from: 0, to: count, by: Self.block) {
            let size = min(Self.block, count - first)
            let own = Self.blockSum(weights + first, size)
            guard left < own || first + size == count else {
                left -= own
                continue
            }
            for i in first..<first + size where weights[i] > 0 {
                last = Int32(i)
                left -= Double(weights[i])
                if left < 0 { return last }
            }
        }
        return last
    }

    private func drawOfSome(_ weights: UnsafeMutablePointer<Float>, _ count: Int, _ uniform: Double) -> Int32 {
        let kept = options.topK == 0 ? count : min(options.topK, count)
        // Of the k most probable tokens the sum isn't known before they are found.
        let wanted = kept < count ? Double.infinity : Double(options.topP) * sum(weights, count)
        var least: Float = 1 / 64
        repeat {
            gather(weights, count, atLeast: max(least, options.minP))
            if least <= options.minP || least == 0 { break }
            let mass = candidates.reduce(0) { $0 + Double($1.weight) }
            if kept < count ? candidates.count >= kept : options.topP < 1 && mass >= wanted { break }
            least = least < 1e-30 ? 0 : least / 64
        } while true
        candidates.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.token < $1.token }
        if candidates.count > kept { candidates.removeLast(candidates.count - kept) }
        if options.topP < 1 {
            let all = kept < count ? candidates.reduce(0) { $0 + Double($1.weight) } : sum(weights, count)
            var (mass, end) = (0.0, 0)
            while end < candidates.count, mass < Double(options.topP) * all || end == 0 {
                mass += Double(candidates[end].weight)
                end += 1
            }
            candidates.removeLast(candidates.count - end)
        }
        while candidates.count > 1, candidates[candidates.count - 1].weight < options.minP { candidates.removeLast() }
        var left = uniform * candidates.reduce(0) { $0 + Double($1.weight) }
        for candidate in candidates {
            left -= Double(candidate.weight)
            if left < 0 { return candidate.token }
        }
        return candidates[candidates.count - 1].token
    }

    /// Makes the tokens of at least some weight the candidates.
    private func gather(_ weights: UnsafeMutablePointer<Float>, _ count: Int, atLeast least: Float) {
        candidates.removeAll(keepingCapacity: true)
        let bound = Vector(repeating: max(least, .leastNonzeroMagnitude))
        for i in stride(from: 0, to: count, by: 16) where any(weights.load(i, of: count) .>= bound) {
            for j in i..<min(i + 16, count) where weights[j] >= bound[0] { candidates.append((Int32(j), weights[j])) }
        }
    }
}

extension SamplingOptions {
    /// The number in (0, 1) that the token at some index of an answer is drawn by.
    ///
    /// - Parameter seed: The answer's.
    static func uniform(seed: UInt64, index: Int) -> Double {
        var generator = SplitMix64(seed: seed &+ UInt64(index) &* SplitMix64.increment)
        return generator.uniform()
    }
}

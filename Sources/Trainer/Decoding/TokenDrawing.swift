import Shared

/// Which token an answer goes on with: drawn from the target's distribution by a number that follows from a seed and the
/// token's index in the answer alone.
///
/// So a draft changes no token at any temperature: a drafted one is accepted if it is the one that is drawn, and that has
/// the target's probability. It is speculative sampling (Leviathan and others 2023) for a draft that proposes its likeliest
/// token and no other.
struct TokenDrawing {
    let sampler: TokenSampler
    /// The answer's.
    let seed: UInt64
    /// Index in the answer of the first token to draw.
    var index = 0

    func beginning(at index: Int) -> TokenDrawing { TokenDrawing(sampler: sampler, seed: seed, index: index) }

    /// A token for each row of logits, the first of which is for `index`; the logits are overwritten.
    ///
    /// Of logits that are no numbers it is the first token, as the likeliest one is then.
    func draw(_ logits: Matrix) -> [Int32] {
        (0..<logits.rows).map { row in
            sampler.draw(
                logits.row(row), logits.columns, seen: [],
                uniform: SamplingOptions.uniform(seed: seed, index: index + row)) ?? 0
        }
    }
}

/// How tokens are drawn: the options of the same names.
struct Sampling: Equatable {
    var temperature: Float = 0
    var topP: Float = 1
    var topK = 0
    var minP: Float = 0
    var repetitionPenalty: Float = 1

    /// Whether the likeliest token is always taken.
    var isGreedy: Bool { temperature == 0 }
}

extension Sampling {
    init(_ options: SamplingOptions) {
        self.init(
            temperature: options.temperature, topP: options.topP, topK: options.topK, minP: options.minP,
            repetitionPenalty: options.repetitionPenalty)
    }
}

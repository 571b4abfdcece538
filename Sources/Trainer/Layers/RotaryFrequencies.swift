import Glibc

/// The angular frequencies of rotary embeddings, ω_i = θ^(−2i/d) for pair i of a head of size d, and their scalings.
enum RotaryFrequencies {
    /// Plain: [headDim / 2].
    static func plain(theta: Double, headDim: Int) -> [Double] {
        (0..<headDim / 2).map { 1 / pow(theta, Double(2 * $0) / Double(headDim)) }
    }

    /// Positions divided by a factor: position interpolation (Chen and others 2023).
    static func linear(_ frequencies: [Double], factor: Double) -> [Double] { frequencies.map { $0 / factor } }

    /// Llama 3.1's: long waves are divided by `factor`, short ones stay, and those between are blended.
    ///
    /// As in transformers' `_compute_llama3_parameters`.
    static func llama3(
        _ frequencies: [Double], factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double,
        originalMaxPositions: Double
    ) -> [Double] {
        frequencies.map { frequency in
            let wavelength = 2 * Double.pi / frequency
            if wavelength < originalMaxPositions / highFrequencyFactor { return frequency }
            if wavelength > originalMaxPositions / lowFrequencyFactor { return frequency / factor }
            let smooth =
                (originalMaxPositions / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)
            return (1 - smooth) * frequency / factor + smooth * frequency
        }
    }

    /// YaRN (Peng and others 2023): pairs that turn often in the original context stay, those that turn less than once
    /// are divided by `factor`, and those between are blended by a ramp.
    ///
    /// As in transformers' `_compute_yarn_parameters`.
    ///
    /// - Parameters:
    ///   - turns: How often a pair turns in the original context where the ramp begins and where it ends:
    ///     `beta_fast` and `beta_slow`.
    ///   - truncate: Whether the ramp begins and ends at whole pairs.
    static func yarn(
        theta: Double, headDim: Int, factor: Double, turns: (fast: Double, slow: Double),
        originalMaxPositions: Double, truncate: Bool
    ) -> [Double] {
        let pair = { (turns: Double) in
            Double(headDim) * log(originalMaxPositions / (turns * 2 * .pi)) / (2 * log(theta))
        }
        let (first, last) = (pair(turns.fast), pair(turns.slow))
        let low = max(0, truncate ? floor(first) : first)
        var high = min(Double(headDim - 1), truncate ? ceil(last) : last)
        if low == high { high += 0.001 }
        return plain(theta: theta, headDim: headDim).enumerated().map { index, frequency in
            let ramp = min(1, max(0, (Double(index) - low) / (high - low)))
            return frequency / factor * ramp + frequency * (1 - ramp)
        }
    }

    /// "Dynamic NTK": a base that grows with the sequence once it is longer than `maxPositions`.
    ///
    /// As in transformers' `_compute_dynamic_ntk_parameters`.
    static func dynamic(
        theta: Double, headDim: Int, factor: Double, maxPositions: Int, length: Int
    ) -> [Double] {
        let stretch = factor * Double(max(length, maxPositions)) / Double(maxPositions) - (factor - 1)
        return plain(theta: theta * pow(stretch, Double(headDim) / Double(headDim - 2)), headDim: headDim)
    }

    /// LongRoPE (Ding and others 2024): each pair is divided by a factor of its own.
    static func long(_ frequencies: [Double], factors: [Double]) -> [Double] {
        zip(frequencies, factors).map { $0 / $1 }
    }
}

import Glibc

/// The angular frequencies of rotary embeddings, ω_i = θ^(−2i/d) for pair i of a head of size d, and their scalings.
enum RotaryFrequencies {
    /// Plain: [headDim / 2].
    static func plain(theta: Double, headDim: Int) -> [Double] {
        (0..<headDim / 2).map { 1 / pow(theta, Double(2 * $0) / Double(headDim)) }
    }

    /// Positions divided by a factor (Chen et al. 2023, position interpolation).
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
}

import Glibc
import Shared

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
}

extension RotaryFrequencies {
    /// What a `config.json` asks for.
    /// - Throws: `JSONError` that names the kind of scaling, if it isn't supported.
    static func configured(_ rope: RopeConfiguration, headDim: Int) throws(JSONError) -> [Double] {
        let plain = plain(theta: rope.theta, headDim: headDim)
        switch rope.type {
        case "default": return plain
        case "linear": return linear(plain, factor: try rope.parameter("factor"))
        case "llama3":
            return llama3(
                plain, factor: try rope.parameter("factor"),
                lowFrequencyFactor: try rope.parameter("low_freq_factor"),
                highFrequencyFactor: try rope.parameter("high_freq_factor"),
                originalMaxPositions: try rope.parameter("original_max_position_embeddings"))
        default: throw rope.unsupported(["default", "linear", "llama3"])
        }
    }
}

import Shared

/// What matrix products round their operands to; they add up in float32 either way, and everything else is float32.
enum MatrixPrecision: String, CaseIterable, Sendable {
    case float32
    /// By the CPU's dot product of bfloat16 pairs, in twice the speed of float32.
    case bfloat16

    /// Whether this CPU has instructions for it.
    var isSupported: Bool { self == .float32 || Machine.hasBFloat16 }
}

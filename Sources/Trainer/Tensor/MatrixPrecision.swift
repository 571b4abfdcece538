import Shared
import Synchronization

/// What matrix products round their operands to; they add up in float32 either way, and everything else is float32.
///
/// One for the whole process, set at its start.
enum MatrixPrecision: String, CaseIterable, Sendable {
    case float32
    /// By the CPU's dot product of bfloat16 pairs, in twice the speed of float32.
    case bfloat16

    private static let chosen = Atomic<Bool>(false)

    /// The precision of `multiply`.
    static var current: MatrixPrecision { chosen.load(ordering: .relaxed) ? .bfloat16 : .float32 }

    /// Sets the precision of all products, once, at the start.
    ///
    /// - Returns: Whether this CPU has instructions for it; if not, products stay in float32, which is no less exact.
    static func set(_ precision: MatrixPrecision) -> Bool {
        let isSupported = precision == .float32 || Machine.hasBFloat16
        chosen.store(precision == .bfloat16 && isSupported, ordering: .relaxed)
        return isSupported
    }
}

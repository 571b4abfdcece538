import Shared

/// Who multiplies matrices in float32.
enum GEMMLibrary: String, CaseIterable, Sendable {
    /// oneDNN where the CPU has AVX-512, for which it writes its kernels at run time; OpenBLAS elsewhere.
    case auto
    case openblas
    case onednn

    /// Whether products are oneDNN's.
    var isOneDNN: Bool { self == .onednn || self == .auto && Machine.hasAVX512 }
}

import Shared
import Synchronization

/// Who multiplies matrices in float32.
///
/// One for the whole process, set at its start.
enum GEMMLibrary: String, CaseIterable, Sendable {
    /// oneDNN where the CPU has AVX-512, for which it writes its kernels at run time; OpenBLAS elsewhere.
    case auto
    case openblas
    case onednn

    private static let usesOneDNN = Atomic<Bool>(GEMMLibrary.auto.isOneDNN)

    /// Whether products are oneDNN's.
    var isOneDNN: Bool { self == .onednn || self == .auto && Machine.hasAVX512 }

    /// The library of float32 products: never `auto`.
    static var current: GEMMLibrary { usesOneDNN.load(ordering: .relaxed) ? .onednn : .openblas }

    /// Sets the library of all products, once, at the start.
    static func set(_ library: GEMMLibrary) { usesOneDNN.store(library.isOneDNN, ordering: .relaxed) }
}

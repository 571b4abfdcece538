// swift-tools-version: 6.2
import PackageDescription

/// The CPU that release builds are compiled for: the one they are built on, unless EYRIE_CPU names another.
///
/// As in `EYRIE_CPU=x86-64-v3 swift build -c release`. A program started on a lesser CPU says so; see CMachine.
let cpu = Context.environment["EYRIE_CPU"] ?? "native"
let swiftForCPU: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-march=\(cpu)"], .when(configuration: .release))]
let cForCPU: [CSetting] = [.unsafeFlags(["-march=\(cpu)"], .when(configuration: .release))]

let package = Package(
    name: "eyrie",
    targets: [
        // System libraries, each wrapped once: a module map and a header.
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        // Without pkgConfig: utf8proc's gives a flag that SwiftPM warns about, and the module map links it.
        .systemLibrary(name: "CUTF8Proc", providers: [.apt(["libutf8proc-dev"])]),
        .systemLibrary(name: "CJQ", providers: [.apt(["libjq-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
        .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),

        // What Swift can't import: a C++ library, the CPU guard and the affinity mask.
        .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CMachine", cSettings: cForCPU),

        .target(
            name: "Shared", dependencies: ["CLMDB", "CZstd", "CZlib", "CXXHash", "CCurl", "CSimdjson", "CMachine"],
            swiftSettings: swiftForCPU, linkerSettings: [.linkedLibrary("m")]),
        .target(name: "Jinja", swiftSettings: swiftForCPU),
        .executableTarget(
            name: "Preprocess", dependencies: ["Jinja", "Shared", "CPCRE2", "CUTF8Proc", "CJQ"],
            swiftSettings: swiftForCPU),
        .executableTarget(
            name: "Trainer", dependencies: ["Shared", "COpenBLAS", "COneDNN", "CMPI", "CMachine"],
            swiftSettings: swiftForCPU),

        .target(
            name: "TestSupport", dependencies: ["Shared", "CZlib", "CZstd"], path: "Tests/TestSupport",
            swiftSettings: swiftForCPU),
        .testTarget(name: "SharedTests", dependencies: ["Shared", "TestSupport"], swiftSettings: swiftForCPU),
        .testTarget(
            name: "JinjaTests", dependencies: ["Jinja", "Preprocess", "TestSupport"], swiftSettings: swiftForCPU),
        .testTarget(name: "PreprocessTests", dependencies: ["Preprocess", "TestSupport"], swiftSettings: swiftForCPU),
        .testTarget(name: "TrainerTests", dependencies: ["Trainer", "TestSupport"], swiftSettings: swiftForCPU),
        .testTarget(
            name: "ExampleTests", dependencies: ["Trainer", "TestSupport"], path: "Examples",
            exclude: ["Cluster", "LlamaServer", "read_store.py"],
            swiftSettings: swiftForCPU),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

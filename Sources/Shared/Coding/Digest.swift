import CXXHash
@preconcurrency import Glibc

/// 128 bits that tell contents apart: XXH3's.
///
/// Good against accidents and quick as memory; not meant against somebody who forges files.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    fileprivate init(_ hash: XXH128_hash_t) {
        high = hash.high64
        low = hash.low64
    }

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init(of bytes: UnsafeRawBufferPointer) { self.init(XXH3_128bits(bytes.baseAddress, bytes.count)) }

    public init(of bytes: [UInt8]) { self = bytes.withUnsafeBytes(Digest.init(of:)) }

    public init(of text: String) { self.init(of: Array(text.utf8)) }

    /// The digest of a file's contents, read in blocks; `check` runs after each and may end it by throwing.
    public init(ofFile path: String, first limit: Int = .max, check: () throws -> Void = {}) throws {
        let file = try InputFile(path)
        let stream = DigestStream()
        var block = [UInt8](repeating: 0, count: 1 << 20)
        var rest = limit
        while rest > 0 {
            let count = try block.withUnsafeMutableBytes { bytes in
                try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes.prefix(rest)))
            }
            if count == 0 { break }
            rest -= count
            block.withUnsafeBytes { stream.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            try check()
        }
        self = stream.digest
    }

    /// 16 bytes, the highest first.
    public var bytes: [UInt8] {
        [high, low].flatMap { word in withUnsafeBytes(of: word.bigEndian, Array.init) }
    }

    /// 32 hexadecimal digits, as `xxh128sum` prints them.
    public var hex: String { Self.hex(high) + Self.hex(low) }

    public var description: String { hex }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// The digest of bytes that come piece by piece.
public final class DigestStream {
    private let state: OpaquePointer

    public init() {
        guard let state = XXH3_createState() else { fatalError("no memory for a digest") }
        self.state = state
        XXH3_128bits_reset(state)
    }

    deinit { XXH3_freeState(state) }

    public func add(_ bytes: UnsafeRawBufferPointer) { XXH3_128bits_update(state, bytes.baseAddress, bytes.count) }

    /// The digest of all that was added until now.
    public var digest: Digest { Digest(XXH3_128bits_digest(state)) }
}

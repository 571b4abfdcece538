import CZlib
import CZstd
import Foundation

/// Packs files as the programs gzip and zstd do, replacing the file itself.
public enum Packed {
    public static func gzip(_ path: String) throws {
        try replace(path, by: path + ".gz", gzip(Array(Data(contentsOf: URL(filePath: path)))))
    }

    public static func zstd(_ path: String) throws {
        try replace(path, by: path + ".zst", zstd(Array(Data(contentsOf: URL(filePath: path)))))
    }

    public static func gzip(_ content: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        var content = content
        var packed = [UInt8](repeating: 0, count: content.count + 1024)
        let input = UInt32(content.count)
        let room = UInt32(packed.count)
        content.withUnsafeMutableBufferPointer { content in
            packed.withUnsafeMutableBufferPointer { packed in
                // 16 more than the window's bits: a gzip header.
                deflateInit2_(
                    &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                    Int32(MemoryLayout<z_stream>.size))
                (stream.next_in, stream.avail_in) = (content.baseAddress, input)
                (stream.next_out, stream.avail_out) = (packed.baseAddress, room)
                deflate(&stream, Z_FINISH)
                deflateEnd(&stream)
            }
        }
        return Array(packed[..<Int(stream.total_out)])
    }

    public static func zstd(_ content: [UInt8]) -> [UInt8] {
        var packed = [UInt8](repeating: 0, count: ZSTD_compressBound(content.count))
        let size = ZSTD_compress(&packed, packed.count, content, content.count, 3)
        return Array(packed[..<size])
    }

    private static func replace(_ path: String, by packedPath: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(filePath: packedPath))
        try FileManager.default.removeItem(atPath: path)
    }
}

import CZstd

/// Why bytes aren't a zstd frame that can be trusted.
public struct ZstandardError: Error, Equatable, CustomStringConvertible {
    public let message: String
    public var description: String { message }

    fileprivate init(_ message: String) { self.message = message }
    fileprivate init(code: Int) { message = String(cString: ZSTD_getErrorName(code)) }
}

/// Makes zstd frames that end with a checksum of their content.
///
/// One thread uses a compressor at a time.
package final class Compressor {
    private let context: OpaquePointer

    /// - Parameter level: zstd's: 1 is fastest, 3 its default, 19 slow and small.
    package init(level: Int) {
        guard let context = ZSTD_createCCtx() else { fatalError("no memory for a zstd context") }
        self.context = context
        let levelCode = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        let checksumCode = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        precondition(ZSTD_isError(levelCode) == 0 && ZSTD_isError(checksumCode) == 0)
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Appends the frame of `bytes` to `output` and returns the frame's size.
    @discardableResult
    package func compress(_ bytes: [UInt8], to output: inout [UInt8]) -> Int {
        bytes.withUnsafeBytes { source in
            let capacity = ZSTD_compressBound(source.count)
            let frame = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                count = ZSTD_compress2(context, buffer.baseAddress, capacity, source.baseAddress, source.count)
                // Fails only for want of memory: the output is as large as zstd may need.
                if ZSTD_isError(count) != 0 { fatalError(String(cString: ZSTD_getErrorName(count))) }
            }
            output += frame
            return frame.count
        }
    }

    package func compress(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        compress(bytes, to: &output)
        return output
    }
}

/// Reads zstd frames, whatever is in them.
///
/// One thread uses a decompressor at a time.
package final class Decompressor {
    private let context: OpaquePointer

    package init() {
        guard let context = ZSTD_createDCtx() else { fatalError("no memory for a zstd context") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// The content of the one frame that `frame` is.
    ///
    /// - Parameter limit: The largest content in bytes that memory is given to.
    /// - Throws: `ZstandardError` if it isn't a whole frame, is followed by something, says no size or one above the
    ///   limit, or its checksum doesn't fit.
    package func content(of frame: UnsafeRawBufferPointer, limit: Int) throws(ZstandardError) -> [UInt8] {
        let size = ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
        // The two largest numbers say that there is no size, or no frame.
        guard size < UInt64.max - 1 else { throw ZstandardError("it is not a zstd frame") }
        // zstd's densest block takes four bytes for 128 KiB.
        guard size <= UInt64(limit), size <= UInt64(frame.count) << 15 else {
            throw ZstandardError("its header declares a content of \(size) bytes, more than it can have")
        }
        let frameSize = ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count)
        guard ZSTD_isError(frameSize) == 0 else { throw ZstandardError(code: frameSize) }
        guard frameSize == frame.count else { throw ZstandardError("other bytes follow it") }
        var written = 0
        let content = [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            written = ZSTD_decompressDCtx(context, buffer.baseAddress, buffer.count, frame.baseAddress, frame.count)
            count = ZSTD_isError(written) == 0 ? min(written, Int(size)) : 0
        }
        guard ZSTD_isError(written) == 0 else { throw ZstandardError(code: written) }
        guard content.count == Int(size) else { throw ZstandardError("it ends early") }
        return content
    }
}

/// Unpacks a file of zstd frames piece by piece.
final class ZstandardDecoder: StreamDecoder {
    /// The largest window that memory is given to, as a power of two: 128 MiB, what `zstd -d` takes unasked.
    static let windowLog: Int32 = 27

    private let context: OpaquePointer
    private(set) var isBetweenFrames = true

    init() {
        guard let context = ZSTD_createDCtx() else { fatalError("no memory for a zstd context") }
        self.context = context
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLog)
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Whether a file's first bytes are those of a frame, or of one that is skipped, as pzstd's files begin.
    static func isFrame(_ head: ArraySlice<UInt8>) -> Bool {
        head.starts(with: [0x28, 0xB5, 0x2F, 0xFD])
            || ((0x50...0x5F).contains(head.first ?? 0) && head.dropFirst().starts(with: [0x2A, 0x4D, 0x18]))
    }

    func decode(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(StreamDecoderError) -> (read: Int, written: Int) {
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let code = ZSTD_decompressStream(context, &target, &source)
        guard ZSTD_isError(code) == 0 else { throw Self.error(code) }
        // 0 says that a frame has ended; without input it says nothing.
        if source.pos > 0 || target.pos > 0 { isBetweenFrames = code == 0 }
        return (source.pos, target.pos)
    }

    private static func error(_ code: Int) -> StreamDecoderError {
        guard ZSTD_getErrorCode(code) != ZSTD_error_frameParameter_windowTooLarge else {
            return .unsupported(
                "was packed with a window of more than \(1 << (windowLog - 20)) MiB, which is more memory than is given "
                    + "to it; unpack it with: zstd -d --long=31")
        }
        return .damaged(String(cString: ZSTD_getErrorName(code)))
    }
}

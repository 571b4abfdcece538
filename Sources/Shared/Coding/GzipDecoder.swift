import CZlib

/// Unpacks gzip, one member after another; zeros after the last one are padding, as tapes and block devices leave it.
final class GzipDecoder: StreamDecoder {
    private var stream = z_stream()
    private(set) var isBetweenFrames = true
    private var isPadding = false

    init() throws(StreamDecoderError) {
        guard gzip_inflate_init(&stream) == Z_OK else { throw .unsupported("needs memory that zlib doesn't get") }
    }

    deinit { inflateEnd(&stream) }

    func decode(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(StreamDecoderError) -> (read: Int, written: Int) {
        if isPadding || (isBetweenFrames && input.first == 0) {
            isPadding = true
            guard input.allSatisfy({ $0 == 0 }) else { throw .damaged("other bytes follow padding") }
            return (input.count, 0)
        }
        if isBetweenFrames, !input.isEmpty, inflateReset(&stream) != Z_OK { throw failure() }
        stream.next_in = UnsafeMutablePointer(mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(input.count)
        stream.next_out = output.assumingMemoryBound(to: UInt8.self).baseAddress
        stream.avail_out = UInt32(output.count)
        let code = inflate(&stream, Z_NO_FLUSH)
        // Z_BUF_ERROR says that there was nothing to do, which more input or room changes.
        guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { throw failure() }
        isBetweenFrames = code == Z_STREAM_END
        return (input.count - Int(stream.avail_in), output.count - Int(stream.avail_out))
    }

    private func failure() -> StreamDecoderError {
        .damaged(stream.msg.map { String(cString: $0) } ?? "isn't gzip")
    }
}

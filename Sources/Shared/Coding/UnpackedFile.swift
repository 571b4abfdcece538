/// A file that is read from its beginning to its end: as it is, or unpacked if its first bytes say gzip or zstd.
public final class UnpackedFile {
    public let path: String
    /// Bytes of the file itself that were read.
    public private(set) var bytesRead = 0
    /// Whether the file ended within packed data, so that what followed is missing.
    public private(set) var endsEarly = false

    private let file: InputFile
    private let digestStream = DigestStream()
    private var decoder: (any StreamDecoder)?
    private var buffer = [UInt8](repeating: 0, count: 256 << 10)
    /// What of the buffer hasn't been handed out or unpacked yet.
    private var rest = 0..<0
    private var isBegun = false
    private var isAtEnd = false

    /// - Throws: `FileError` if it can't be read or is a directory.
    public init(_ path: String) throws(FileError) {
        self.path = path
        file = try InputFile(path)
    }

    /// Of the file's own bytes that were read.
    public var digest: Digest { digestStream.digest }

    /// Reads the next bytes, fewer than fit only at the end.
    /// - Returns: How many bytes were read; 0 at the end.
    /// - Throws: `FileError`, or `PackedFileError` if packed data are damaged.
    public func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        if !isBegun { try begin() }
        var filled = 0
        while filled < output.count {
            let room = UnsafeMutableRawBufferPointer(rebasing: output[filled...])
            if decoder == nil && rest.isEmpty { return filled + (try readPlain(into: room)) }
            if rest.isEmpty && !isAtEnd { try fill() }
            let (read, written) = try unpack(into: room)
            rest = rest.lowerBound + read..<rest.upperBound
            filled += written
            if read == 0 && written == 0 && isAtEnd {
                endsEarly = !(decoder?.isBetweenFrames ?? true)
                break
            }
        }
        return filled
    }

    private func begin() throws {
        isBegun = true
        try fill()
        if buffer[rest].starts(with: [0x1F, 0x8B]) {
            decoder = try StreamDecoderError.at(path, 0) { () throws(StreamDecoderError) in try GzipDecoder() }
        }
        if ZstandardDecoder.isFrame(buffer[rest]) { decoder = ZstandardDecoder() }
    }

    private func fill() throws {
        let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
        added(buffer.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[..<count]) })
        rest = 0..<count
        isAtEnd = count < buffer.count
    }

    private func readPlain(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try file.read(into: output)
        added(UnsafeRawBufferPointer(rebasing: output[..<count]))
        return count
    }

    private func added(_ bytes: UnsafeRawBufferPointer) {
        digestStream.add(bytes)
        bytesRead += bytes.count
    }

    private func unpack(into output: UnsafeMutableRawBufferPointer) throws -> (read: Int, written: Int) {
        try buffer.withUnsafeBytes { buffer in
            let input = UnsafeRawBufferPointer(rebasing: buffer[rest])
            guard let decoder else {
                let count = min(input.count, output.count)
                output.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[..<count]))
                return (count, count)
            }
            return try StreamDecoderError.at(path, bytesRead - input.count) {
                () throws(StreamDecoderError) in try decoder.decode(input, into: output)
            }
        }
    }
}

/// Unpacks a stream piece by piece.
protocol StreamDecoder: AnyObject {
    /// Unpacks from the front of `input` as much as it or `output` allows.
    func decode(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(StreamDecoderError) -> (read: Int, written: Int)
    /// Whether the packed stream may end where it is.
    var isBetweenFrames: Bool { get }
}

/// Why packed data can't be unpacked.
enum StreamDecoderError: Error {
    case damaged(String)
    case unsupported(String)

    /// Runs `body` and says in which file and where an error came up.
    static func at<T>(_ path: String, _ offset: Int, _ body: () throws(StreamDecoderError) -> T) throws(PackedFileError)
        -> T
    {
        do throws(StreamDecoderError) {
            return try body()
        } catch {
            let message =
                switch error {
                case .damaged(let message): "packed data near byte \(offset) are damaged: \(message)"
                case .unsupported(let message): message
                }
            throw PackedFileError(path: path, message: message)
        }
    }
}

/// Why a packed file can't be read.
public struct PackedFileError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let message: String
    public var description: String { "\(path): \(message)" }
}

@preconcurrency import Glibc

/// The lines of standard input, read a block at a time.
struct LineInput {
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// The number of the line read last.
    private(set) var lineNumber = 0

    /// The next line without its end, which is valid until the next call; nil at the end of input.
    ///
    /// - Throws: `LineInputError` where standard input can't be read.
    mutating func next() throws(LineInputError) -> ArraySlice<UInt8>? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                lineNumber += 1
                return buffer[position..<end]
            }
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                lineNumber += 1
                return buffer[position...]
            }
            buffer.removeSubrange(..<position)
            position = 0
            searched = buffer.count
            try readBlock()
        }
    }

    private mutating func readBlock() throws(LineInputError) {
        let size = 1 << 18
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: size))
        var count = -1
        repeat {
            count = buffer.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map { read(STDIN_FILENO, $0 + old, size) } ?? -1
            }
        } while count < 0 && errno == EINTR
        buffer.removeLast(size - max(0, count))
        if count < 0 { throw LineInputError(message: String(cString: strerror(errno))) }
        isAtEnd = count == 0
    }
}

/// Why standard input can't be used.
struct LineInputError: Error, CustomStringConvertible {
    let message: String
    var line: Int?

    var description: String { "standard input\(line.map { ":\($0)" } ?? ""): \(message)" }
}

@preconcurrency import Glibc
import Shared

/// Standard output, written a block at a time.
struct LineOutput {
    var buffer: [UInt8] = []

    /// Ends a line, and writes what there is once it is a block.
    mutating func endLine() throws(FileError) {
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count > 1 << 16 { try flush() }
    }

    mutating func append(_ text: String) { buffer.append(contentsOf: text.utf8) }

    /// Appends a JSON string, in which also the line ends that JSON lets stand are escaped.
    ///
    /// So a line stays one line for readers that know of more line ends than `\n`.
    mutating func append(quoting text: [UInt8]) {
        for scalar in JSONText.quoted(String(decoding: text, as: UTF8.self)).unicodeScalars {
            switch scalar {
            case "\u{85}", "\u{2028}", "\u{2029}":
                let hex = String(scalar.value, radix: 16)
                append("\\u" + String(repeating: "0", count: 4 - hex.count) + hex)
            default: append(String(scalar))
            }
        }
    }

    /// Appends numbers that aren't negative as a JSON array.
    mutating func append(_ numbers: some Collection<Int32>) {
        let first = buffer.count
        // A number has ten digits at most, and ", " after it.
        buffer.append(contentsOf: repeatElement(UInt8(ascii: "["), count: 12 * numbers.count + 2))
        let end = buffer.withUnsafeMutableBufferPointer { bytes in
            var end = first + 1
            for number in numbers {
                if end > first + 1 {
                    bytes[end] = UInt8(ascii: ",")
                    bytes[end + 1] = UInt8(ascii: " ")
                    end += 2
                }
                var rest = number.magnitude
                var digits = 1
                while rest >= 10 {
                    rest /= 10
                    digits += 1
                }
                rest = number.magnitude
                for index in (end..<end + digits).reversed() {
                    bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                end += digits
            }
            bytes[end] = UInt8(ascii: "]")
            return end + 1
        }
        buffer.removeLast(buffer.count - end)
    }

    /// - Throws: `FileError` where standard output can't be written, as into a closed pipe.
    mutating func flush() throws(FileError) {
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeBytes {
                write(STDOUT_FILENO, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            guard count >= 0 || errno == EINTR else { throw FileError("standard output", "write it") }
            done += max(0, count)
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

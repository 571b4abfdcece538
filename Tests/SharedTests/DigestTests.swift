import Foundation
import TestSupport
import Testing

@testable import Shared

struct DigestTests {
    @Test func isThatOfXXH128() throws {
        // As `printf abc | xxh128sum` and `xxh128sum /dev/null` print them.
        #expect(Digest(of: "abc").hex == "06b05ab6733a618578af5f94892f3950")
        #expect(Digest(of: "").hex == "99aa06d3014798d86001c324468d497f")
    }

    @Test func isTheSameInPiecesAndOfAFile() throws {
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let stream = DigestStream()
        bytes[..<7].withUnsafeBytes(stream.add)
        bytes[7...].withUnsafeBytes(stream.add)
        let scratch = try ScratchDirectory()
        try Data(bytes).write(to: URL(filePath: scratch.file("bytes")))
        #expect(try stream.digest == Digest(of: bytes) && Digest(ofFile: scratch.file("bytes")) == Digest(of: bytes))
    }
}

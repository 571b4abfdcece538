import Foundation
import Shared

/// Golden files that are compressed by gzip.
public enum Gzip {
    /// The JSON of a compressed file.
    public static func json(_ url: URL) throws -> JSONFile {
        let path = url.path(percentEncoded: false)
        let gzip = Process()
        gzip.executableURL = URL(filePath: "/usr/bin/env")
        gzip.arguments = ["gzip", "-dc", path]
        let output = Pipe()
        gzip.standardOutput = output
        try gzip.run()
        let contents = try output.fileHandleForReading.readToEnd() ?? Data()
        gzip.waitUntilExit()
        guard gzip.terminationStatus == 0 else { throw FileError(path, "decompress", code: EIO) }
        return try JSONFile(contents: Array(contents), path: path)
    }
}

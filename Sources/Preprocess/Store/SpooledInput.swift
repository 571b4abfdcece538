@preconcurrency import Glibc
import Shared

/// Data that can be read only once, standard input or a pipe, kept as a file of the cache.
///
/// A store is known by its dataset's files, which are read again to see whether they have changed. So what comes through a
/// pipe is written to `CACHE/DIGEST.input` first, DIGEST being the XXH3-128 of its bytes: the same data have the same
/// store, whichever way they come.
enum SpooledInput {
    private static let (suffix, partialSuffix) = (".input", ".input.partial")

    /// Whether a file of a cache has the name of such data, or of some that an ended build has left.
    static func isName(_ name: String) -> Bool {
        if let (_, rest) = CacheDirectory.split(name) { return rest == suffix }
        guard name.hasSuffix(partialSuffix) else { return false }
        let process = name.dropLast(partialSuffix.count)
        return !process.isEmpty && process.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    /// Paths with files instead of standard input (`-`) and pipes.
    static func files(for paths: [String], cacheDir: String) throws -> [String] {
        try paths.map { path in
            guard path == "-" || isStream(path) else { return path }
            let file = try spool(path == "-" ? "/dev/stdin" : path, cacheDir)
            Log.line("\(path == "-" ? "standard input" : path) is kept as \(file), its --train-data-path from now on")
            return file
        }
    }

    /// Whether a path is neither a regular file nor a directory.
    private static func isStream(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        return path == "/dev/stdin" || (status.st_mode & S_IFMT != S_IFREG && status.st_mode & S_IFMT != S_IFDIR)
    }

    private static func spool(_ path: String, _ cacheDir: String) throws -> String {
        try makeDirectory(cacheDir)
        let input = try InputFile(path)
        let aside = "\(cacheDir)/\(getpid())\(partialSuffix)"
        // What a link of that name leads to stays as it is.
        unlink(aside)
        let output = try OutputFile(aside, isNew: true)
        do {
            let digest = DigestStream()
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            var count = 0
            repeat {
                try Interrupt.check()
                count = try buffer.withUnsafeMutableBytes { bytes in
                    let count = try input.read(into: bytes)
                    let block = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                    digest.add(block)
                    try output.write(block)
                    return count
                }
            } while count > 0
            try output.finish()
            let file = "\(cacheDir)/\(digest.digest.hex)\(suffix)"
            // What is there already is the same, and its store knows when it was written.
            if fileExists(file) {
                unlink(aside)
            } else if rename(aside, file) != 0 {
                throw FileError(file, "rename \(aside) to it")
            }
            return file
        } catch {
            unlink(aside)
            throw error
        }
    }
}

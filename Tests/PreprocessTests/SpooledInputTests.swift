import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct SpooledInputTests {
    /// Fills a pipe while another thread reads it.
    private func spool(_ contents: String, _ scratch: ScratchDirectory) throws -> String {
        let pipe = scratch.file("pipe-\(UInt32.random(in: 0..<UInt32.max))")
        #expect(mkfifo(pipe, 0o600) == 0)
        let writer = Thread { try? Data(contents.utf8).write(to: URL(filePath: pipe)) }
        writer.start()
        return try #require(try SpooledInput.files(for: [pipe], cacheDir: scratch.file("cache")).first)
    }

    @Test func aPipeIsKeptAsAFileKnownByItsContents() throws {
        let scratch = try ScratchDirectory()
        let contents = conversationLines(2000).joined(separator: "\n")
        let first = try spool(contents, scratch)
        #expect(first == "\(scratch.file("cache"))/\(Digest(of: contents).hex).input")
        #expect(try readFile(first) == Array(contents.utf8))
        let status = try FileStatus(of: first)
        // The same data are the same file, untouched, so that its store stays up to date.
        #expect(try spool(contents, scratch) == first && FileStatus(of: first) == status)
        #expect(try spool(contents + "\n", scratch) != first)
        #expect(try listDirectory(scratch.file("cache")).allSatisfy { $0.hasSuffix(".input") })
    }

    @Test func filesAndDirectoriesStayWhatTheyAre() throws {
        let scratch = try ScratchDirectory()
        let file = try scratch.write("a.jsonl", "{}")
        let paths = [file, scratch.file(""), "nowhere", "*.jsonl"]
        #expect(try SpooledInput.files(for: paths, cacheDir: scratch.file("cache")) == paths)
        #expect(!fileExists(scratch.file("cache")))
    }
}

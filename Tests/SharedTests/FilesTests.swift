import Glibc
import TestSupport
import Testing

@testable import Shared

struct FilesTests {
    @Test func leavesNothingOfAFileThatCannotBeWritten() throws {
        let scratch = try ScratchDirectory()
        // A directory can't be replaced by a file, which shows at the very end.
        try makeDirectory(scratch.file("page.html/some"))
        #expect(throws: FileError.self) { try writeFile(scratch.file("page.html"), "text".utf8) }
        #expect(try listDirectory(scratch.path) == ["page.html"])
    }

    /// Also one whose nanoseconds 64 bits have no room for; of what a file system has no room for it makes something else.
    @Test(arguments: [0, 1_700_000_000, 10_413_792_000, 15_032_385_535]) func aFileMayBeOfAnyTime(seconds: Int) throws {
        let scratch = try ScratchDirectory()
        let path = try scratch.write("data", "x")
        let times = [timespec(tv_sec: seconds, tv_nsec: 5), timespec(tv_sec: seconds, tv_nsec: 5)]
        try #require(utimensat(AT_FDCWD, path, times, 0) == 0)
        var status = stat()
        try #require(stat(path, &status) == 0)
        let kept = status.st_mtim
        #expect(try FileStatus(of: path).modifiedNanoseconds == kept.tv_sec &* 1_000_000_000 &+ kept.tv_nsec)
    }
}

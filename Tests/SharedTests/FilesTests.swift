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
}

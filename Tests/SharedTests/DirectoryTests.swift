@preconcurrency import Glibc
import TestSupport
import Testing

@testable import Shared

/// Who can write to a directory can plant links in it; what they lead to stays as it is.
struct DirectoryTests {
    private let scratch: ScratchDirectory
    private let shared: Directory
    private let victim: String

    init() throws {
        scratch = try ScratchDirectory()
        try makeDirectory(scratch.file("shared"))
        try makeDirectory(scratch.file("home"))
        shared = try Directory(scratch.file("shared"))
        victim = try scratch.write("home/diary", "dear diary")
    }

    private func plant(_ name: String, to target: String) throws {
        try #require(symlink(target, shared.path(of: name)) == 0)
    }

    private var diary: String { get throws { String(decoding: try readFile(victim), as: UTF8.self) } }

    @Test func replacesALinkAndNotWhatItLeadsTo() throws {
        try plant("a", to: victim)
        try plant("b.partial", to: victim)
        try plant("c", to: scratch.file("home/none"))
        for name in ["a", "c"] { try shared.create(name).append(Array("new".utf8)) }
        try shared.replace("b", "new".utf8)
        #expect(try diary == "dear diary" && listDirectory(scratch.file("home")) == ["diary"])
        for name in ["a", "b", "c"] { #expect(try shared.contents(name) == Array("new".utf8)) }
    }

    @Test func writesNoFileThroughALinkToItsOwnName() throws {
        try plant("page.html.partial", to: victim)
        try writeFile(shared.path(of: "page.html"), "text".utf8)
        #expect(try diary == "dear diary" && readFile(shared.path(of: "page.html")) == Array("text".utf8))
    }

    @Test func opensNoLinkAndNoPipe() throws {
        try plant("link", to: victim)
        try #require(mkfifo(shared.path(of: "pipe"), 0o600) == 0)
        for name in ["link", "pipe"] {
            #expect(throws: FileError.self) { try shared.open(name, O_RDWR) }
            #expect(throws: FileError.self) { try shared.open(name, O_RDWR | O_CREAT) }
            #expect(throws: FileError.self) { try shared.contents(name) }
        }
        #expect(try shared.open("none", O_RDONLY) == nil && diary == "dear diary")
    }

    @Test func removesATreeWithoutLeavingIt() throws {
        try makeDirectory(shared.path(of: "tree/deep"))
        try plant("tree/deep/home", to: scratch.file("home"))
        try plant("tree/diary", to: victim)
        // A name that isn't UTF-8.
        let odd = Array(shared.path(of: "tree/").utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
        close(open(odd, O_CREAT | O_WRONLY, 0o600))
        try shared.removeTree("tree")
        try plant("top", to: scratch.file("home"))
        try shared.removeTree("top")
        try plant("path", to: scratch.file("home"))
        try removeDirectory(shared.path(of: "path"))
        #expect(try shared.names() == [] && listDirectory(scratch.file("home")) == ["diary"] && diary == "dear diary")
    }

    /// Also where nobody writes to the pipe, so that whoever opened it would wait for ever.
    @Test func pipesAndDevicesAreNamedForWhatTheyAre() throws {
        let pipe = scratch.file("pipe")
        try #require(mkfifo(pipe, 0o600) == 0)
        for path in [pipe, "/dev/null"] {
            #expect { try MappedFile(path) } throws: { "\($0)".hasSuffix("it is a pipe or a device, should be a file") }
        }
        #expect { try MappedFile(scratch.path) } throws: { "\($0)".hasSuffix("Is a directory") }
    }
}

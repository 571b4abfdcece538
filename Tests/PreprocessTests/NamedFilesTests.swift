import Glibc
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct NamedFilesTests {
    /// A file is called by every path that leads to it and by the ends of these, also where it is a link, as all files are
    /// in huggingface_hub's cache.
    @Test func filesAreCalledByEveryPathToThem() throws {
        let scratch = try ScratchDirectory()
        try makeDirectory(scratch.file("blobs"))
        try makeDirectory(scratch.file("snapshot"))
        for name in ["train", "more"] {
            try writeFile(scratch.file("blobs/\(name)-digest"), "{}".utf8)
            try #require(symlink("../blobs/\(name)-digest", scratch.file("snapshot/\(name).jsonl")) == 0)
        }
        let given = "\(scratch.file("blobs"))/../snapshot"
        for data in [[given], ["\(given)/train.jsonl", "\(given)/more.jsonl"], ["\(given)/*.jsonl"]] {
            let files = NamedFiles(data)
            let train = try #require(files.paths.firstIndex { $0.hasSuffix("/blobs/train-digest") })
            for name in [
                "train.jsonl", "snapshot/train.jsonl", "\(given)/train.jsonl", scratch.file("snapshot/train.jsonl"),
                scratch.file("blobs/train-digest"), "train-digest",
            ] { #expect(files.called(name) == [train], "\(name) of \(data)") }
            #expect(files.called("rain.jsonl").isEmpty && files.called("snapshot").isEmpty)
            for directory in [given, scratch.file("snapshot"), scratch.file("blobs"), scratch.path] {
                #expect(files.within(directory) == [0, 1])
            }
            #expect(files.within(scratch.file("blob")).isEmpty)
        }
    }
}

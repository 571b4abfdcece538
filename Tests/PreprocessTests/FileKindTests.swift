import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct FileKindTests {
    static let others: [(name: String, head: [UInt8])] = [
        ("Parquet", Array("PAR1\u{15}\u{4}".utf8)), ("Arrow file", Array("ARROW1\0\0".utf8)),
        ("Arrow stream", [0xFF, 0xFF, 0xFF, 0xFF, 0x10, 0, 0, 0]), ("Feather", Array("FEA1".utf8)),
        ("ORC", Array("ORC\n".utf8)),
        ("xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 0]), ("bzip2", Array("BZh91AY&SY".utf8)),
        ("lz4", [0x04, 0x22, 0x4D, 0x18, 0x64]),
        ("lzip", Array("LZIP\u{1}".utf8)), ("compress", [0x1F, 0x9D, 0x90]),
        ("7z", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]),
        ("RAR", Array("Rar!\u{1A}".utf8)), ("ZIP", Array("PK\u{3}\u{4}\u{14}".utf8)),
        ("Excel", Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 0, count: 26) + Array("[Content_Types].xml".utf8)),
        ("Excel", [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]), ("RTF", Array("{\\rtf1\\ansi x}".utf8)),
        ("DuckDB", [UInt8](repeating: 7, count: 8) + Array("DUCK".utf8)), ("property list", Array("bplist00".utf8)),
        ("Git Xet", Array("# xet version 0\nfilesize = 1\n".utf8)), ("zlib", [0x78, 0x9C, 0x4B]),
        ("binary", [20, 0, 0, 0, 0, 0, 0, 0] + Array("xyz".utf8)), ("binary", [0x82, 1, 2, 3, 0xFF]),
        ("YAML", Array("messages:\n  - role: user\n".utf8)), ("CSV", Array("question;answer\nq;a\n".utf8)),
        ("CSV", Array("question|answer\nq|a\n".utf8)),
        ("begins with 'Entry not found'", Array("Entry not found".utf8)),
        ("begins with 'hello, world'", Array("hello, world\n".utf8)),
        ("begins with 'Hello there, this is'", Array("Hello there, this is\ntext of two lines.\n".utf8)),
        ("begins with 'title = \"x\"'", Array("title = \"x\"\nb = 1\n".utf8)),
        ("tar", Array("data.jsonl".utf8) + [UInt8](repeating: 0, count: 247) + Array("ustar".utf8)),
        ("SQLite", Array("SQLite format 3\0".utf8)), ("GGUF", Array("GGUF\u{3}".utf8)),
        ("HDF5", [0x89] + Array("HDF\r\n".utf8)), ("NumPy", [0x93] + Array("NUMPY".utf8)),
        ("PDF", Array("%PDF-1.7".utf8)),
        ("Avro", Array("Obj\u{1}".utf8)), ("program", [0x7F] + Array("ELF".utf8)), ("pickle", [0x80, 4, 0x95, 0]),
        ("safetensors", [0x40, 1, 0, 0, 0, 0, 0, 0] + Array("{\"a\":".utf8)),
        ("LMDB", [UInt8](repeating: 0, count: 16) + [0xDE, 0xC0, 0xEF, 0xBE]),
        ("Git LFS", Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8)),
        ("HTML", Array("<!DOCTYPE html>\n<html></html>".utf8)), ("HTML", Array("\n <html>".utf8)),
        ("YAML", Array("- conversations:\n  - from: human\n".utf8)), ("YAML", Array("---\na: b\n".utf8)),
        ("CSV", Array("id,conversations\r\n0,\"[{\"\"from\"\": \"\"human\"\"}]\"\r\n".utf8)),
        ("CSV", Array("\"id\",\"text\"\n1,x\n".utf8)),
        ("TSV", Array("id\tconversations\n0\t[]\n".utf8)),
        ("UTF-16", [0xFF, 0xFE] + "{\"a\": 1}".utf8.flatMap { [$0, 0] }),
        ("UTF-16LE", "{\"a\": 1}".utf8.flatMap { [$0, 0] }),
        ("UTF-16BE", "{\"a\": 1}".utf8.flatMap { [0, $0] }), ("UTF-16", [0xFE, 0xFF] + "{}".utf8.flatMap { [0, $0] }),
        ("UTF-32", [0xFF, 0xFE, 0, 0] + "{}".utf8.flatMap { [$0, 0, 0, 0] }),
        ("UTF-32LE", "{}".utf8.flatMap { [$0, 0, 0, 0] }),
    ]

    @Test(arguments: others.indices) func othersAreNamedByTheirFirstBytes(index: Int) throws {
        let (name, head) = Self.others[index]
        #expect(FileKind(head: head)?.name.contains(name) == true, "\(name)")
        let scratch = try ScratchDirectory()
        for (suffix, pack) in [("", { $0 }), (".gz", Packed.gzip), (".zst", Packed.zstd)]
            as [(String, ([UInt8]) -> [UInt8])]
        {
            let path = scratch.file("it's\(suffix)")
            try Data(pack(head)).write(to: URL(filePath: path))
            for blockSize in [1, 100, 1 << 16] {
                var reader = DatasetReader([path], blockSize: blockSize)
                #expect { while try reader.next() != nil {} } throws: { error in
                    let text = "\(error)"
                    return text.hasPrefix("\(path): is ") && text.contains(name)
                        && (!text.contains(" > ") || text.contains(shellQuoted(path)))
                }
            }
        }
    }

    @Test(arguments: [
        "", " ", "{}", "[1]", "\u{FEFF}{\"a\": 1}", "// made by hand, once\n{\"a\": 1}\n", "a,b\n{\"c\": 1}\n",
        "# x\n[1]\n", "\n\n{\"a\":\n1}",
        "null\nnull\n", "1;2\n3", "\"a\": 1, \"b\": 2\n\"c\": 3\n", "some text\nand more\n{\"a\": 1}\n",
        "\u{1E}{}\n\u{1E}{}\n",
    ])
    func whatMayBeJSONIsRead(text: String) { #expect(FileKind(head: Array(text.utf8)) == nil) }

    @Test(arguments: [
        "bzip2 -dc FILE", "xz -dc FILE", "iconv -f UTF-16 -t UTF-8 FILE",
    ])
    func theCommandsMakeWhatIsRead(command: String) throws {
        let scratch = try ScratchDirectory()
        let lines = conversationLines(5).joined(separator: "\n")
        let plain = try scratch.write("plain", lines)
        let packed = scratch.file("it's packed")
        let pack =
            ["bzip2": "bzip2 -c", "xz": "xz -c", "iconv": "iconv -f UTF-8 -t UTF-16"][
                String(command.prefix { $0 != " " })] ?? ""
        func shell(_ text: String) throws -> Int32 {
            let process = Process()
            process.executableURL = URL(filePath: "/bin/sh")
            process.arguments = ["-c", text]
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus
        }
        guard try shell("command -v \(pack.prefix { $0 != " " }) >/dev/null") == 0 else { return }
        #expect(try shell("\(pack) \(shellQuoted(plain)) > \(shellQuoted(packed))") == 0)
        let head = try Array(Data(contentsOf: URL(filePath: packed)).prefix(FileKind.headSize))
        let kind = try #require(FileKind(head: head))
        #expect(kind.command == command)
        let filled = try #require(kind.message(packed).components(separatedBy: "make them with: ").last)
        #expect(try shell(filled) == 0)
        #expect(try String(contentsOfFile: "\(packed).jsonl", encoding: .utf8) == lines)
    }

    @Test(arguments: [",", "\t", ";", "|"]) func theCommandForTablesNeedsOnlyPython(separator: String) throws {
        let scratch = try ScratchDirectory()
        let rows = ["question,answer", "\"Why, \"\"you\"\"?\",a", "\"two\nlines\",é"]
        let table = rows.joined(separator: "\n").replacing(",", with: separator) + "\n"
        let path = try scratch.write("it's a table", "\u{FEFF}" + table)
        let kind = try #require(FileKind(head: Array("\u{FEFF}\(table)".utf8)))
        let filled = try #require(kind.message(path).components(separatedBy: "make them with: ").last)
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "command -v python3 >/dev/null || exit 9; \(filled)"]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus != 9 else { return }
        let lines = try String(contentsOfFile: "\(path).jsonl", encoding: .utf8).split(separator: "\n")
        #expect(
            lines == [
                #"{"question": "Why\#(separator == "\t" ? "\\t" : separator) \"you\"?", "answer": "a"}"#,
                #"{"question": "two\nlines", "answer": "\u00e9"}"#,
            ])
    }

    // MARK: - Packed

    @Test func zerosAfterGzipArePaddingAndOtherBytesDamage() throws {
        let scratch = try ScratchDirectory()
        let packed = Packed.gzip(Array("{\"a\": 1}\n".utf8))
        let path = scratch.file("padded.gz")
        func read(_ bytes: [UInt8]) throws -> Int {
            try Data(bytes).write(to: URL(filePath: path))
            var (reader, count) = (DatasetReader([path], blockSize: 100), 0)
            while let batch = try reader.next() { count += batch.records.count { $0.problem == nil } }
            return count
        }
        #expect(try read(packed + [UInt8](repeating: 0, count: 600_000)) == 1)
        #expect(try read(packed + packed + [0, 0]) == 2)
        #expect(throws: PackedFileError.self) { try read(packed + [0, 0] + packed) }
        #expect(throws: PackedFileError.self) { try read(packed + [7, 7]) }
    }

    @Test func skippableFramesComeFirstInWhatPzstdWrites() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("data.zst")
        let skippable: [UInt8] = [0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]
        try Data(skippable + Packed.zstd(Array("{\"a\": 1}\n".utf8)) + skippable).write(to: URL(filePath: path))
        var reader = DatasetReader([path])
        #expect(try reader.next()?.records.count == 1)
    }

    @Test func longWindowsAreRefusedWithTheCommandThatUnpacks() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("long.zst")
        // A frame header that asks for a window of 2 GiB, and a raw block.
        try Data([0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x09, 0, 0, 0x7B]).write(to: URL(filePath: path))
        var reader = DatasetReader([path])
        #expect { try reader.next() } throws: {
            "\($0)".contains("window of more than 128 MiB") && "\($0)".contains("zstd -d --long=31")
        }
    }
}

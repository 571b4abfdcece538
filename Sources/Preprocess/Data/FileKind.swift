import Shared

/// A kind of file that isn't JSON, known by its first bytes, and the command that makes JSON lines of it.
struct FileKind: Equatable {
    /// The number of bytes that tell.
    static let headSize = 4096

    var name: String
    /// In which `FILE` stands for the file, and which writes to standard output; nil where there is none.
    var command: String?

    /// Nil for what may be JSON.
    init?(head: [UInt8]) {
        guard let kind = Self.byMagic(head) ?? Self.byEncoding(head) ?? Self.byControls(head) ?? Self.byText(head)
        else {
            return nil
        }
        self = kind
    }

    private init(_ name: String, _ command: String? = nil) { (self.name, self.command) = (name, command) }

    /// Says what a file is, and what to do.
    func message(_ path: String) -> String {
        guard let command else { return "is \(name), should be JSON lines or a JSON array" }
        let filled = command.replacing("FILE", with: shellQuoted(path))
        return "is \(name), should be JSON lines or a JSON array; make them with: "
            + "\(filled) > \(shellQuoted("\(path).jsonl"))"
    }

    // MARK: - By numbers

    private static let toJSON = "to_json(sys.stdout, orient='records', lines=True, force_ascii=False)"

    private static func pandas(_ read: String) -> String {
        "python3 -c \"import sys, pandas; pandas.\(read)(sys.argv[1]).\(toJSON)\" FILE"
    }

    private static let stream =
        "python3 -c \"import sys, pyarrow.ipc as ipc; ipc.open_stream(open(sys.argv[1], 'rb')).read_pandas().\(toJSON)\" "
        + "FILE"

    /// Where the bytes stand, the bytes, and what they say.
    private static let magics: [(offset: Int, bytes: [UInt8], kind: FileKind)] = [
        (0, Array("PAR1".utf8), FileKind("a Parquet file", pandas("read_parquet"))),
        (0, Array("ARROW1".utf8), FileKind("an Arrow file", pandas("read_feather"))),
        (0, Array("FEA1".utf8), FileKind("a Feather file", pandas("read_feather"))),
        (0, [0xFF, 0xFF, 0xFF, 0xFF], FileKind("an Arrow stream, as datasets' save_to_disk writes", stream)),
        (0, Array("ORC".utf8), FileKind("an ORC file", pandas("read_orc"))),
        (0, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], FileKind("packed by xz", "xz -dc FILE")),
        (0, Array("BZh".utf8), FileKind("packed by bzip2", "bzip2 -dc FILE")),
        (0, [0x04, 0x22, 0x4D, 0x18], FileKind("packed by lz4", "lz4 -dc FILE")),
        (0, Array("LZIP".utf8), FileKind("packed by lzip", "lzip -dc FILE")),
        (0, [0x1F, 0x9D], FileKind("packed by compress", "gzip -dc FILE")),
        (0, [0x1F, 0x8B], FileKind("packed by gzip twice", "gzip -dc FILE | gzip -dc")),
        (0, [0x28, 0xB5, 0x2F, 0xFD], FileKind("packed by zstd twice", "zstd -dc FILE | zstd -dc")),
        (0, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], FileKind("a 7z archive", "7z x -so FILE")),
        (0, Array("Rar!".utf8), FileKind("a RAR archive", "unrar p -inul FILE")),
        (30, Array("[Content_Types].xml".utf8), FileKind("an Excel file, or another of Office", pandas("read_excel"))),
        (
            0, [0xD0, 0xCF, 0x11, 0xE0],
            FileKind("an Excel file of before 2007, or another of Office", pandas("read_excel"))
        ),
        (0, Array("PK\u{3}\u{4}".utf8), FileKind("a ZIP archive", "unzip -p FILE")),
        (257, Array("ustar".utf8), FileKind("a tar archive", "tar -xOf FILE")),
        (
            0, Array("SQLite format 3\0".utf8),
            FileKind("an SQLite database", "sqlite3 -json FILE 'SELECT * FROM TABLE'")
        ),
        (8, Array("DUCK".utf8), FileKind("a DuckDB database", "duckdb FILE -jsonlines -c 'FROM TABLE'")),
        (0, Array("GGUF".utf8), FileKind("a GGUF model")),
        (0, Array("\u{89}".unicodeScalars.map { UInt8($0.value) }) + Array("HDF\r\n".utf8), FileKind("an HDF5 file")),
        (0, [0x93] + Array("NUMPY".utf8), FileKind("a NumPy array")),
        (0, Array("%PDF-".utf8), FileKind("a PDF")),
        (0, Array("{\\rtf".utf8), FileKind("an RTF document")),
        (0, Array("bplist".utf8), FileKind("a property list")),
        (0, Array("Obj\u{1}".utf8), FileKind("an Avro file")),
        (0, [0x7F] + Array("ELF".utf8), FileKind("a program")),
        (16, [0xDE, 0xC0, 0xEF, 0xBE], FileKind("an LMDB database, as stores of samples are")),
        (
            0, Array("version https://git-lfs".utf8),
            FileKind("a pointer of Git LFS and not the file itself, which `git lfs pull` fetches")
        ),
        (
            0, Array("# xet version".utf8),
            FileKind("a pointer of Git Xet and not the file itself, which `git pull` fetches")
        ),
    ]

    private static func byMagic(_ head: [UInt8]) -> FileKind? {
        for magic in magics where head.dropFirst(magic.offset).starts(with: magic.bytes) { return magic.kind }
        // A pickle begins with its protocol, 2 to 5, and a frame, or the kind of the first value.
        if head.count > 2, head[0] == 0x80, (2...5).contains(head[1]) {
            return FileKind("a Python pickle, which only the program that wrote it should open")
        }
        if [[0x78, 0x01], [0x78, 0x9C], [0x78, 0xDA]].contains(Array(head.prefix(2))) {
            let unpack = "sys.stdout.buffer.write(zlib.decompress(open(sys.argv[1], 'rb').read()))"
            return FileKind("packed by zlib", "python3 -c \"import sys, zlib; \(unpack)\" FILE")
        }
        // The size of the header, in eight bytes, and the header.
        if head.count > 9, head[8] == UInt8(ascii: "{"), head[4..<8].allSatisfy({ $0 == 0 }) {
            return FileKind("a safetensors file")
        }
        return nil
    }

    // MARK: - By encoding

    private static func byEncoding(_ head: [UInt8]) -> FileKind? {
        func text(_ encoding: String) -> FileKind {
            FileKind("text in \(encoding)", "iconv -f \(encoding) -t UTF-8 FILE")
        }
        if head.starts(with: [0xFF, 0xFE, 0, 0]) || head.starts(with: [0, 0, 0xFE, 0xFF]) { return text("UTF-32") }
        if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF]) { return text("UTF-16") }
        // Without a mark, the zeros of two letters below 256 tell.
        let zeros = head.prefix(8).map { $0 == 0 }
        switch zeros.prefix(4) {
        case [false, true, false, true]: return text("UTF-16LE")
        case [true, false, true, false]: return text("UTF-16BE")
        default: break
        }
        if zeros == [false, true, true, true, false, true, true, true] { return text("UTF-32LE") }
        return zeros == [true, true, true, false, true, true, true, false] ? text("UTF-32BE") : nil
    }

    /// Bytes that no text has.
    private static func byControls(_ head: [UInt8]) -> FileKind? {
        let controls = head.prefix(64).count { $0 < 0x20 && !isJSONSpace($0) && $0 != 0x1E }
        return controls > 2 ? FileKind("binary data of a kind that isn't known") : nil
    }

    // MARK: - By words

    private static func byText(_ head: [UInt8]) -> FileKind? {
        let text = head.starts(with: [0xEF, 0xBB, 0xBF]) ? head.dropFirst(3) : head[...]
        guard let first = text.first(where: { !isJSONSpace($0) }), !"{[".utf8.contains(first) else { return nil }
        if first == UInt8(ascii: "<") { return FileKind("a page of HTML or XML, as servers send instead of a file") }
        let lines = text.split(separator: 0x0A, maxSplits: 2, omittingEmptySubsequences: true)
        guard let line = lines.first else { return nil }
        guard lines.count > 1, let start = lines[1].first(where: { !isJSONSpace($0) }) else {
            return byWords(text, line)
        }
        // Comments and headings before JSON lines aren't the names of columns.
        guard !"{[".utf8.contains(start) else { return nil }
        if isYAML(line, lines[1]) {
            let load = "[print(json.dumps(row)) for row in yaml.safe_load(open(sys.argv[1]))]"
            return FileKind("YAML", "python3 -c \"import sys, json, yaml; \(load)\" FILE")
        }
        for (separator, name, delimiter) in separators where isHeading(line, separator) && lines[1].contains(separator)
        {
            return FileKind("a table in \(name)", toLines(delimiter))
        }
        return byWords(text, line)
    }

    /// What stands between the columns of tables, what they are called then, and how Python writes it.
    private static let separators: [(UInt8, String, String)] = [
        (UInt8(ascii: ","), "CSV", ","), (0x09, "TSV", "\\t"), (UInt8(ascii: ";"), "CSV", ";"),
        (UInt8(ascii: "|"), "CSV", "|"),
    ]

    /// Needs nothing but Python.
    private static func toLines(_ delimiter: String) -> String {
        let rows = "csv.DictReader(open(sys.argv[1], encoding='utf-8-sig', newline=''), delimiter='\(delimiter)')"
        return "python3 -c \"import csv, json, sys; csv.field_size_limit(sys.maxsize); "
            + "[print(json.dumps(row)) for row in \(rows)]\" FILE"
    }

    /// `---`, a list of mappings, or a key with what it holds below it.
    private static func isYAML(_ line: ArraySlice<UInt8>, _ next: ArraySlice<UInt8>) -> Bool {
        if line.starts(with: "---".utf8) || (line.starts(with: "- ".utf8) && line.contains(0x3A)) { return true }
        let isKey = line.last { !isJSONSpace($0) } == UInt8(ascii: ":") && !line.contains(0x20)
        return isKey && (next.starts(with: "  ".utf8) || next.starts(with: "- ".utf8))
    }

    /// Text without a bracket that begins with a word, as servers send instead of a file.
    private static func byWords(_ text: ArraySlice<UInt8>, _ line: ArraySlice<UInt8>) -> FileKind? {
        let word = line.drop(while: isJSONSpace).prefix { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 }
        guard word.count > 1, !["null", "true", "false", "NaN"].contains(String(decoding: word, as: UTF8.self)),
            !text.contains(where: { "{[".utf8.contains($0) })
        else { return nil }
        let start = String(decoding: line.prefix(40), as: UTF8.self)
        return FileKind("text that isn't JSON and begins with '\(printable(start))'")
    }

    /// Whether a line is the names of two columns or more.
    private static func isHeading(_ line: ArraySlice<UInt8>, _ separator: UInt8) -> Bool {
        let names = line.split(separator: separator, omittingEmptySubsequences: false)
        return names.count > 1
            && names.allSatisfy { name in
                (1...64).contains(name.count)
                    && name.allSatisfy { byte in
                        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || byte >= 0x80
                            || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "_-. \"\r".utf8.contains(byte)
                    }
            }
    }
}

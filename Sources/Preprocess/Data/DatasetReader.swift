import Shared

/// Some records of a dataset that follow each other, in one piece of memory that workers may read.
struct RecordBatch: Sendable {
    struct Record: Sendable {
        var range: Range<Int>
        /// Where the record begins in its file, in bytes.
        var offset: Int
        var line: Int
        var problem: Rejection?
        /// Whether the file ends with the record, so that a broken one was cut off.
        var isUnfinished = false
    }

    /// The file's index in the dataset.
    var file: Int
    /// Followed by as many bytes as the JSON parser needs.
    var bytes: [UInt8]
    var records: [Record]
    /// Bytes of the dataset's files up to this batch's end, packed as they are.
    var bytesRead: Int
}

/// Reads the files of a dataset one after another, in flat memory, unpacks them and takes their digests on the way.
struct DatasetReader {
    static let defaultLargestRecord = BuildSettings().maxRecordSize << 20

    private let paths: [String]
    private let blockSize: Int
    private let largestRecord: Int
    private var skip: Int
    private var file = -1
    private var input: UnpackedFile?
    private var scanner: RecordScanner
    /// Bytes of the file that don't belong to a returned batch yet.
    private var pending: [UInt8] = []
    private var scanned = 0
    /// The file's first bytes, until it is known not to be something else than JSON.
    private var head: [UInt8]? = []
    /// Bytes of the files before the current one.
    private var bytesBefore = 0

    /// Of each file that was read to its end, what is known of it then.
    private(set) var ends: [StoreManifest.FileEnd] = []

    /// - Parameters:
    ///   - paths: The files, in order.
    ///   - skip: How many records at the beginning are left out.
    ///   - blockSize: Bytes that are read at once.
    ///   - largestRecord: Bytes; a larger record is left out with its reason.
    init(_ paths: [String], skip: Int = 0, blockSize: Int = 1 << 20, largestRecord: Int = Self.defaultLargestRecord) {
        self.paths = paths
        self.skip = skip
        self.blockSize = blockSize
        self.largestRecord = largestRecord
        scanner = RecordScanner(largestRecord: largestRecord)
    }

    /// The next records, or nil at the dataset's end.
    ///
    /// - Throws: `FileError`, `PackedFileError`, or `DatasetError` for a file that is something else than JSON.
    mutating func next() throws -> RecordBatch? {
        while true {
            if input == nil {
                guard file + 1 < paths.count else { return nil }
                file += 1
                input = try UnpackedFile(paths[file])
                scanner = RecordScanner(largestRecord: largestRecord)
                (pending, scanned, head) = ([], 0, [])
            }
            if let batch = try readBlock() { return batch }
        }
    }

    /// Reads on in the current file; nil if no record ends in what was read.
    private mutating func readBlock() throws -> RecordBatch? {
        guard let input else { return nil }
        let before = pending.count
        pending.append(contentsOf: repeatElement(0, count: blockSize))
        let count = try pending.withUnsafeMutableBytes { bytes in
            try input.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[before...]))
        }
        pending.removeLast(blockSize - count)
        let isAtEnd = count < blockSize
        try checkHead(pending[before...], isAtEnd)
        var records = scan(isAtEnd: isAtEnd)
        let bytesRead = bytesBefore + input.bytesRead
        if isAtEnd { finish(input, &records) }
        return take(records, upTo: isAtEnd ? pending.count : scanner.pendingStart ?? scanned, bytesRead)
    }

    /// - Throws: `DatasetError` if the file's first bytes are those of another kind of file.
    private mutating func checkHead(_ bytes: ArraySlice<UInt8>, _ isAtEnd: Bool) throws {
        guard var head else { return }
        head += bytes.prefix(FileKind.headSize - head.count)
        self.head = isAtEnd || head.count == FileKind.headSize ? nil : head
        guard self.head == nil, let kind = FileKind(head: head) else { return }
        throw DatasetError(path: paths[file], message: kind.message(paths[file]))
    }

    private mutating func scan(isAtEnd: Bool) -> [RecordBatch.Record] {
        var found: [RecordScanner.Found] = []
        (scanner, scanned) = pending.withUnsafeBytes { [scanner, scanned] bytes in
            var (scanner, position) = (scanner, scanned)
            let text = RecordScanner.Text(bytes: bytes, isAtEnd: isAtEnd)
            while let record = scanner.next(in: text, from: &position) { found.append(record) }
            return (scanner, position)
        }
        var records: [RecordBatch.Record] = []
        for record in found { add(record, to: &records) }
        return records
    }

    /// Ends the current file; what is missing at its end counts as a record that was cut off.
    private mutating func finish(_ file: UnpackedFile, _ records: inout [RecordBatch.Record]) {
        var missing = scanner.missing(at: pending.count)
        if file.endsEarly {
            missing = .init(
                range: pending.count..<pending.count, offset: scanner.base + pending.count, line: scanner.line,
                problem: .missing("the packed file ends early; what followed is missing"))
        }
        if let missing { add(missing, to: &records) }
        ends.append(.init(digest: file.digest, isAppendable: scanner.isBetweenLines && !file.endsEarly))
        bytesBefore += file.bytesRead
        input = nil
    }

    private mutating func add(_ found: RecordScanner.Found, to records: inout [RecordBatch.Record]) {
        guard skip == 0 else {
            skip -= 1
            return
        }
        var record = RecordBatch.Record(range: found.range, offset: found.offset, line: found.line)
        switch found.problem {
        case .broken(let message): record.problem = Rejection(.malformed, message)
        case .missing(let message): record.problem = Rejection(.cutOff, message)
        case .unfinished: record.isUnfinished = true
        case nil: break
        }
        if found.isTooLarge {
            record.range = 0..<0
            record.problem = Rejection(.tooLarge, "is larger than \(largestRecord >> 20) MiB (--max-record-size)")
        }
        records.append(record)
    }

    /// Makes a batch of the pending bytes up to `end`, and keeps the others.
    ///
    /// A byte is copied at most once for each batch, and not at all while a record goes on.
    private mutating func take(
        _ records: [RecordBatch.Record], upTo end: Int, _ bytesRead: Int
    ) -> RecordBatch? {
        guard !records.isEmpty || end > 0 else { return nil }
        pending.withUnsafeBytes { scanner.take(end, of: $0) }
        scanned -= end
        guard !records.isEmpty else {
            pending.removeSubrange(..<end)
            return nil
        }
        let rest = Array(pending[end...])
        var bytes = pending
        pending = rest
        bytes.removeLast(bytes.count - end)
        bytes.append(contentsOf: repeatElement(0x20, count: JSONParser.padding))
        return RecordBatch(file: file, bytes: bytes, records: records, bytesRead: bytesRead)
    }
}

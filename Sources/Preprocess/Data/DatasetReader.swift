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

    /// The file's place in the dataset.
    var file: Int
    /// Followed by as many bytes as the JSON parser needs.
    var bytes: [UInt8]
    var records: [Record]
    /// Bytes of the dataset's files up to this batch's end, packed as they are.
    var bytesRead: Int
}

/// Reads the files of a dataset one after another, in flat memory, unpacks them and takes their digests on the way.
struct DatasetReader {
    static let usualLargestRecord = 5 << 20

    private let paths: [String]
    private let blockSize: Int
    private let largestRecord: Int
    private var skip: Int
    private var file = -1
    private var input: UnpackedFile?
    private var scanner = RecordScanner()
    /// Bytes of the file that don't belong to a returned batch yet, and where they begin in it.
    private var pending: [UInt8] = []
    private var pendingOffset = 0
    private var scanned = 0
    private var isDiscarding = false
    /// Bytes of the files before the current one.
    private var bytesBefore = 0

    /// Of each file that was read to its end, what is known of it then.
    private(set) var ends: [StoreManifest.FileEnd] = []

    /// - Parameters:
    ///   - paths: The files, in order.
    ///   - skip: How many records at the beginning are left out.
    ///   - blockSize: Bytes that are read at once.
    ///   - largestRecord: Bytes; a larger record is left out with its reason.
    init(_ paths: [String], skip: Int = 0, blockSize: Int = 1 << 20, largestRecord: Int = Self.usualLargestRecord) {
        self.paths = paths
        self.skip = skip
        self.blockSize = blockSize
        self.largestRecord = largestRecord
    }

    /// The next records, or nil at the dataset's end.
    mutating func next() throws -> RecordBatch? {
        while true {
            if input == nil {
                guard file + 1 < paths.count else { return nil }
                file += 1
                input = try UnpackedFile(paths[file])
                (scanner, pending, pendingOffset) = (RecordScanner(), [], 0)
                (scanned, isDiscarding) = (0, false)
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
        var records = scan()
        let bytesRead = bytesBefore + input.bytesRead
        if count < blockSize {
            finish(input, &records)
            return take(records, upTo: pending.count, bytesRead)
        }
        let keepFrom = scanner.pendingStart ?? pending.count
        if pending.count - keepFrom > largestRecord { isDiscarding = true }
        return take(records, upTo: isDiscarding ? pending.count : keepFrom, bytesRead)
    }

    /// Ends the current file; where packed data break off, what is missing counts as a record that was cut off.
    private mutating func finish(_ file: UnpackedFile, _ records: inout [RecordBatch.Record]) {
        let isAppendable = scanner.isBetweenLines && !file.endsEarly
        if let last = scanner.finish(at: pending.count) { add(last, to: &records) }
        if file.endsEarly {
            let problem = RecordScanner.Problem.missing("the packed file ends early; what followed is missing")
            add(.init(range: pending.count..<pending.count, line: scanner.line, problem: problem), to: &records)
        }
        ends.append(.init(digest: file.digest, isAppendable: isAppendable))
        bytesBefore += file.bytesRead
        input = nil
    }

    private mutating func scan() -> [RecordBatch.Record] {
        var records: [RecordBatch.Record] = []
        var found: [RecordScanner.Found] = []
        (scanner, scanned) = pending.withUnsafeBytes { [scanner, scanned] bytes in
            var (scanner, position) = (scanner, scanned)
            while let record = scanner.next(in: bytes, from: &position) { found.append(record) }
            return (scanner, position)
        }
        for record in found { add(record, to: &records) }
        return records
    }

    private mutating func add(_ found: RecordScanner.Found, to records: inout [RecordBatch.Record]) {
        defer { isDiscarding = false }
        guard skip == 0 else {
            skip -= 1
            return
        }
        var record = RecordBatch.Record(
            range: found.range, offset: pendingOffset + found.range.lowerBound, line: found.line)
        switch found.problem {
        case .broken(let message): record.problem = Rejection(.malformed, message)
        case .missing(let message): record.problem = Rejection(.cutOff, message)
        case .unfinished: record.isUnfinished = true
        case nil: break
        }
        if isDiscarding || found.range.count > largestRecord {
            record.range = 0..<0
            record.problem = Rejection(.tooLarge, "is larger than \(largestRecord >> 20) MiB (--max-record-size)")
        }
        records.append(record)
    }

    /// Makes a batch of the pending bytes up to `end`, and keeps the others.
    private mutating func take(
        _ records: [RecordBatch.Record], upTo end: Int, _ bytesRead: Int
    ) -> RecordBatch? {
        let rest = Array(pending[end...])
        var bytes = pending
        pending = rest
        pendingOffset += end
        scanned -= end
        scanner.rebase(by: end)
        guard !records.isEmpty else { return nil }
        bytes.removeLast(bytes.count - end)
        bytes.append(contentsOf: repeatElement(0x20, count: JSONParser.padding))
        return RecordBatch(file: file, bytes: bytes, records: records, bytesRead: bytesRead)
    }
}

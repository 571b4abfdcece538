/// Where a sample comes from.
public struct SampleSource: Equatable, Sendable {
    /// The file's index in the manifest's files.
    public var file: Int
    /// The line of its record, from 1; in a JSON array, the line on which the record begins.
    public var line: Int
    /// The record's own `id`, empty if it has none.
    public var id: [UInt8]

    public init(file: Int, line: Int, id: [UInt8]) {
        self.file = file
        self.line = line
        self.id = id
    }
}

extension SampleSource {
    package func isSameLine(as other: SampleSource) -> Bool { (file, line) == (other.file, other.line) }
    package func isBefore(_ other: SampleSource) -> Bool { (file, line) < (other.file, other.line) }
}

/// Samples being put together into one frame's content; Documentation/StoreFormat.md draws it.
package struct SampleGroupWriter {
    package init() {}

    private var header = ByteWriter()
    private var tokens: [UInt8] = []
    package private(set) var lengths: [Int] = []
    package private(set) var tokenCount = 0

    package mutating func add(_ sample: Sample, _ source: SampleSource, ranks: TokenRanks) {
        let start = tokens.count
        ranks.encode(sample.inputIDs, to: &tokens)
        header.varint(sample.inputIDs.count)
        header.varint(tokens.count - start)
        header.varint(source.file)
        header.varint(source.line)
        header.string(source.id)
        write(Self.runs(of: sample.lossMask))
        write(Self.attentionRuns(of: sample))
        lengths.append(sample.inputIDs.count)
        tokenCount += sample.inputIDs.count
    }

    private mutating func write(_ runs: [Int]) {
        header.varint(runs.count)
        for run in runs { header.varint(run) }
    }

    /// The content of group `number`, whose first sample has the number `firstSample`; begins the next group.
    package mutating func finish(number: Int, firstSample: Int) -> [UInt8] {
        var content = ByteWriter()
        content.varint(number)
        content.varint(firstSample)
        content.varint(lengths.count)
        content.append(header.bytes)
        content.append(tokens)
        header.removeAll()
        tokens.removeAll(keepingCapacity: true)
        lengths.removeAll()
        tokenCount = 0
        return content.bytes
    }

    /// Lengths of the runs of the attention mask, the first of zeros, which may be empty; none if it is 1 for all tokens.
    private static func attentionRuns(of sample: Sample) -> [Int] {
        guard sample.hasPadding else { return [] }
        let runs = [sample.leadingPadding, sample.attended.count]
        return sample.trailingPadding > 0 ? runs + [sample.trailingPadding] : runs
    }

    /// Lengths of the runs of equal marks, the first of unsupervised tokens, which may be empty.
    private static func runs(of mask: [Bool]) -> [Int] {
        var runs: [Int] = []
        var (current, length) = (false, 0)
        for mark in mask {
            if mark != current {
                runs.append(length)
                (current, length) = (mark, 0)
            }
            length += 1
        }
        runs.append(length)
        return runs
    }
}

/// One frame's content, from which single samples are read.
struct SampleGroup {
    /// Where a sample's parts are: in the content its id and tokens, in `runs` the runs of its loss mask.
    private struct Entry {
        let tokenCount: Int
        let file: Int
        let line: Int
        let id: Range<Int>
        let runs: Range<Int>
        let padding: (leading: Int, trailing: Int)
        var tokens: Range<Int>
    }

    let number: Int
    private let content: [UInt8]
    private let entries: [Entry]
    private let runs: [Int]

    /// - Throws: `DecodingFailure` if it isn't the content of group `number` with these samples.
    init(_ content: [UInt8], number: Int, firstSample: Int, lengths: ArraySlice<Int32>) throws(DecodingFailure) {
        let parts = content.withUnsafeBytes { bytes in
            Result { () throws(DecodingFailure) in
                var reader = ByteReader(bytes)
                try reader.expect(number, "the group's number")
                try reader.expect(firstSample, "the first sample's number")
                try reader.expect(lengths.count, "the number of samples")
                return try Self.entries(&reader, lengths)
            }
        }
        (entries, runs) = try parts.get()
        self.number = number
        self.content = content
    }

    private static func entries(
        _ reader: inout ByteReader, _ lengths: ArraySlice<Int32>
    ) throws(DecodingFailure) -> (entries: [Entry], runs: [Int]) {
        var entries: [Entry] = []
        entries.reserveCapacity(lengths.count)
        var runs: [Int] = []
        // Tokens are placed as if they began at 0 until it is known where they do.
        var tokensEnd = 0
        for length in lengths {
            try reader.expect(Int(length), "a sample's length")
            let byteCount = try reader.count("a sample's size")
            let file = try reader.varint("a file's number")
            let line = try reader.varint("a line's number")
            let id = try reader.range("an id")
            let firstRun = runs.count
            try readRuns(&reader, length: Int(length), to: &runs)
            let padding = try readPadding(&reader, length: Int(length))
            entries.append(
                Entry(
                    tokenCount: Int(length), file: file, line: line, id: id, runs: firstRun..<runs.count,
                    padding: padding,
                    tokens: tokensEnd..<tokensEnd + byteCount))
            tokensEnd += byteCount
        }
        guard tokensEnd == reader.remaining else { throw DecodingFailure("its samples don't take up all of it") }
        for i in entries.indices {
            let tokens = entries[i].tokens
            entries[i].tokens = reader.position + tokens.lowerBound..<reader.position + tokens.upperBound
        }
        return (entries, runs)
    }

    private static func readRuns(
        _ reader: inout ByteReader, length: Int, to runs: inout [Int]
    ) throws(DecodingFailure) {
        var rest = length
        for _ in 0..<(try reader.count("the number of runs")) {
            let run = try reader.varint("a run")
            guard run <= rest else { throw DecodingFailure("the loss mask is longer than the sample") }
            rest -= run
            runs.append(run)
        }
        guard rest == 0 else { throw DecodingFailure("the loss mask is shorter than the sample") }
    }

    /// Reads the runs of the attention mask, whose zeros may only be before and after all ones.
    private static func readPadding(
        _ reader: inout ByteReader, length: Int
    ) throws(DecodingFailure) -> (leading: Int, trailing: Int) {
        let count = try reader.count("the number of runs of the attention mask")
        if count == 0 { return (0, 0) }
        guard count == 2 || count == 3 else { throw DecodingFailure("its attention mask has \(count) runs") }
        let leading = try reader.varint("a run")
        let attended = try reader.varint("a run")
        let trailing = count == 3 ? try reader.varint("a run") : 0
        guard leading <= length, attended >= 1, attended <= length - leading, leading > 0 || trailing > 0,
            trailing == length - leading - attended, count == 2 || trailing > 0
        else { throw DecodingFailure("its attention mask doesn't fit") }
        return (leading, trailing)
    }

    func source(at index: Int) -> SampleSource {
        let entry = entries[index]
        return SampleSource(file: entry.file, line: entry.line, id: Array(content[entry.id]))
    }

    func sample(at index: Int, ranks: TokenRanks) throws(DecodingFailure) -> Sample {
        let entry = entries[index]
        let ids = content.withUnsafeBytes { bytes in
            Result { () throws(DecodingFailure) in
                try ranks.decode(UnsafeRawBufferPointer(rebasing: bytes[entry.tokens]), count: entry.tokenCount)
            }
        }
        let mask = [Bool](unsafeUninitializedCapacity: entry.tokenCount) { marks, count in
            // Runs add up to the sample's length, which was checked when the group was read.
            var isSupervised = false
            for run in runs[entry.runs] {
                marks[count..<count + run].initialize(repeating: isSupervised)
                count += run
                isSupervised.toggle()
            }
        }
        return Sample(
            inputIDs: try ids.get(), lossMask: mask, leadingPadding: entry.padding.leading,
            trailingPadding: entry.padding.trailing)
    }
}

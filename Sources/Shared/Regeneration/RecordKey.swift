/// What a record is known by from run to run: the digest of its contents, and how many equal ones precede it.
///
/// Keys don't depend on where a record stands, so that a dataset may grow, and lose or gain records, between two runs.
public struct RecordKey: Hashable, Sendable, CustomStringConvertible {
    public let digest: Digest
    /// 1 for the first record of these contents, 2 for the second.
    public let copy: Int

    public init(_ digest: Digest, copy: Int = 1) {
        self.digest = digest
        self.copy = copy
    }

    /// Reads what `description` writes.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard let hex = parts.first, hex.utf8.count == 32, parts.count <= 2, hex.utf8.allSatisfy(Self.isDigit),
            let high = UInt64(hex.prefix(16), radix: 16), let low = UInt64(hex.suffix(16), radix: 16)
        else { return nil }
        var copy = 1
        if parts.count == 2 {
            guard let number = Int(parts[1]), number > 1, "\(number)" == parts[1] else { return nil }
            copy = number
        }
        self.init(Digest(high: high, low: low), copy: copy)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// 32 hexadecimal digits, and `-2` for a second record of the same contents.
    public var description: String { copy == 1 ? digest.hex : "\(digest.hex)-\(copy)" }
}

/// Gives records their keys; asked once for each record, in the dataset's order.
public struct RecordKeys: Sendable {
    private var counts: [Digest: Int] = [:]

    public init() {}

    public mutating func next(_ digest: Digest) -> RecordKey {
        let copy = counts[digest, default: 0] + 1
        counts[digest] = copy
        return RecordKey(digest, copy: copy)
    }
}

extension Sample {
    /// What a prompt is known by: its tokens, and after which of them there are to be answers.
    public var promptDigest: Digest {
        let stream = DigestStream()
        inputIDs.withUnsafeBytes { stream.add($0) }
        lossMask.withUnsafeBytes { stream.add($0) }
        return stream.digest
    }
}

/// Where a record is, for people and for who continues.
public struct RecordSource: Equatable, Sendable {
    /// As the user named it.
    public var file: String
    public var line: Int
    /// The record's own id; empty if it has none.
    public var id: String
    public var key: RecordKey

    public init(file: String, line: Int, id: String = "", key: RecordKey) {
        (self.file, self.line, self.id, self.key) = (file, line, id, key)
    }

    var location: [(String, JSONText)] {
        [("file", .string(file)), ("line", .int(line)), ("key", .string("\(key)"))]
    }
}

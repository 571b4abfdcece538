/// Reads a store's records, finished or not, other than its samples.
package struct StoreReader {
    private let path: String
    private let transaction: LMDBReadTransaction
    private let decompressor: Decompressor
    package static let limit = 1 << 28

    package init(_ path: String, _ transaction: LMDBReadTransaction, _ decompressor: Decompressor) {
        self.path = path
        self.transaction = transaction
        self.decompressor = decompressor
    }

    /// A record's content, read by `body`; a failure names the record.
    package func read<T>(
        _ key: [UInt8], limit: Int = Self.limit, _ body: (UnsafeRawBufferPointer) throws(DecodingFailure) -> T
    ) throws -> T {
        let name = String(decoding: key, as: UTF8.self)
        guard let frame = try transaction.value(of: key) else {
            throw StoreError(path, "isn't a store: record '\(name)' is missing")
        }
        do {
            let content = try decompressor.content(of: frame, limit: limit)
            let result = content.withUnsafeBytes { bytes in
                Result { () throws(DecodingFailure) in try body(bytes) }
            }
            return try result.get()
        } catch let error as ZstandardError {
            throw StoreError(path, "record '\(name)' is damaged: \(error.message)")
        } catch let error as DecodingFailure {
            throw StoreError(path, "record '\(name)' is damaged: \(error.message)")
        }
    }

    func contains(_ key: [UInt8]) throws -> Bool { try transaction.value(of: key) != nil }

    package func manifest() throws -> StoreManifest {
        let text = try read(StoreKey.manifest) { Array($0) }
        do {
            let root = try JSONFile(contents: text, path: path).root
            let format = try root.int("format")
            guard format == StoreManifest.formatVersion else { throw StoreFormatError(path: path, format: format) }
            return try StoreManifest(root)
        } catch let error as JSONError {
            throw StoreError(path, "its manifest can't be read: \(error)")
        }
    }

    /// The index of every block, which must add up to the given samples and tokens.
    func index(samples: Int, tokens: Int) throws -> [StoreBlockIndex] {
        var index: [StoreBlockIndex] = []
        var (group, sample, token) = (0, 0, 0)
        while try contains(StoreKey.index(index.count)) {
            let block = index.count
            let entry = try read(StoreKey.index(block)) { bytes throws(DecodingFailure) in
                try StoreBlockIndex(decoding: bytes, block: block, firstGroup: group, firstSample: sample)
            }
            group += entry.groups.count
            for group in entry.groups {
                sample += group.lengths.count
                for length in group.lengths { token += Int(length) }
            }
            index.append(entry)
        }
        guard sample == samples, token == tokens else {
            throw StoreError(
                path, "its index has \(sample) samples of \(token) tokens, its manifest \(samples) of \(tokens)")
        }
        return index
    }

    package func notes(block: Int) throws -> [SourceNote] {
        guard try contains(StoreKey.notes(block)) else { return [] }
        return try read(StoreKey.notes(block)) { bytes throws(DecodingFailure) in
            try SourceNote.decode(bytes, block: block)
        }
    }
}

/// A store of another version of the format than this program's.
public struct StoreFormatError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let format: Int

    /// Whether a later version of the program wrote it.
    public var isNewer: Bool { format > StoreManifest.formatVersion }

    public var description: String {
        let advice = isNewer ? "a newer version of Eyrie reads it" : "Preprocess build makes it again"
        return "\(path): is a store of format \(format), this program reads \(StoreManifest.formatVersion); \(advice)"
    }
}

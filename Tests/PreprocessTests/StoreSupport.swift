import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// Writes a store again with other records: what a hostile or another version's program could have made.
///
/// - Parameter change: The content of a record's frame, by its key; nil leaves it as it is.
func rewriteStore(_ path: String, to other: String, _ change: (_ key: String, _ content: [UInt8]) -> [UInt8]?) throws {
    var records: [StoreSeal.Record] = []
    do {
        let source = try LMDBReadTransaction(LMDBEnvironment(path, .immutable))
        let (compressor, decompressor) = (Compressor(level: 1), Decompressor())
        try source.forEach { key, value in
            let name = String(decoding: key, as: UTF8.self)
            let content = name.hasPrefix("block/") ? nil : try decompressor.content(of: value, limit: 1 << 28)
            let changed = content.flatMap { change(name, $0) }
            records.append((Array(key), changed.map { compressor.compress($0) } ?? Array(value)))
        }
    }
    try? FileManager.default.removeItem(atPath: other)
    let target = try LMDBEnvironment(other, .exclusive(syncEachCommit: false))
    try target.setMapSize(64 << 20)
    try target.write(records, isLast: true)
}

/// Writes a store's manifest again, as text.
func rewriteManifest(_ path: String, to other: String, _ change: (String) -> String) throws {
    try rewriteStore(path, to: other) { key, content in
        key == "manifest" ? Array(change(String(decoding: content, as: UTF8.self)).utf8) : nil
    }
}

/// The keys of a store's records, in the form that Documentation/StoreFormat.md gives.
package enum StoreKey {
    package static let manifest = Array("manifest".utf8)
    package static let ranks = Array("ranks".utf8)
    package static let counts = Array("counts".utf8)
    /// Only in a store that is being built.
    package static let progress = Array("progress".utf8)

    package static func mapping(_ draftVocabSize: Int) -> [UInt8] { numbered("mapping/", draftVocabSize) }
    package static func isMapping(_ key: [UInt8]) -> Bool { key.starts(with: "mapping/".utf8) }

    package static func block(_ number: Int) -> [UInt8] { numbered("block/", number) }
    package static func index(_ number: Int) -> [UInt8] { numbered("index/", number) }
    package static func notes(_ number: Int) -> [UInt8] { numbered("notes/", number) }
    package static func ofBlock(_ number: Int) -> [[UInt8]] { [block(number), index(number), notes(number)] }

    private static func numbered(_ prefix: String, _ number: Int) -> [UInt8] {
        let digits = String(number)
        return Array((prefix + String(repeating: "0", count: max(0, 10 - digits.count)) + digits).utf8)
    }
}

/// Token ids numbered by how frequent they are, so that frequent ones take one byte in a store.
///
/// Rank 0 is the most frequent token of the dataset's beginning; ids that don't occur there follow in ascending order.
struct TokenRanks: Sendable {
    /// The vocabulary's ids by rank.
    let idByRank: [Int32]
    private let rankByID: [Int32]
    /// How many ids were ranked by their count.
    private let rankedCount: Int

    var vocabSize: Int { idByRank.count }

    /// - Parameter counts: How often each id of the vocabulary occurs; equally frequent ids are ranked ascending.
    init(counts: [Int]) {
        let ranked = counts.indices.filter { counts[$0] > 0 }.sorted { (-counts[$0], $0) < (-counts[$1], $1) }
        self.init(ranked: ranked.map(Int32.init), vocabSize: counts.count)
    }

    private init(ranked: [Int32], vocabSize: Int) {
        rankedCount = ranked.count
        var rankByID = [Int32](repeating: -1, count: vocabSize)
        for (rank, id) in ranked.enumerated() { rankByID[Int(id)] = Int32(rank) }
        var idByRank = ranked
        for id in 0..<vocabSize where rankByID[id] < 0 {
            rankByID[id] = Int32(idByRank.count)
            idByRank.append(Int32(id))
        }
        self.idByRank = idByRank
        self.rankByID = rankByID
    }

    /// Reads what `encoded` wrote.
    init(decoding bytes: UnsafeRawBufferPointer, vocabSize: Int) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        try reader.expect(vocabSize, "the vocabulary's size")
        let count = try reader.count("the number of ranked tokens")
        var ranked: [Int32] = []
        ranked.reserveCapacity(count)
        var isRanked = [Bool](repeating: false, count: vocabSize)
        for _ in 0..<count {
            let id = try reader.varint("a token's id")
            guard id < vocabSize, !isRanked[id] else { throw DecodingFailure("token \(id) can't have a rank") }
            isRanked[id] = true
            ranked.append(Int32(id))
        }
        try reader.expectEnd()
        self.init(ranked: ranked, vocabSize: vocabSize)
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.varint(vocabSize)
        writer.varint(rankedCount)
        for id in idByRank.prefix(rankedCount) { writer.varint(Int(id)) }
        return writer.bytes
    }

    /// Appends the tokens' ranks as varints.
    ///
    /// The ids must be below the vocabulary's size.
    func encode(_ ids: [Int32], to bytes: inout [UInt8]) {
        rankByID.withUnsafeBufferPointer { ranks in
            for id in ids {
                precondition(id >= 0 && Int(id) < ranks.count)
                var rest = UInt32(bitPattern: ranks[Int(id)])
                while rest >= 0x80 {
                    bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                    rest >>= 7
                }
                bytes.append(UInt8(truncatingIfNeeded: rest))
            }
        }
    }

    /// Reads `count` tokens, which must take up all of `bytes`.
    func decode(_ bytes: UnsafeRawBufferPointer, count: Int) throws(DecodingFailure) -> [Int32] {
        guard count <= bytes.count else { throw DecodingFailure("\(count) tokens don't fit \(bytes.count) bytes") }
        var end = 0
        let ids = idByRank.withUnsafeBufferPointer { table in
            [Int32](unsafeUninitializedCapacity: count) { ids, initialized in
                var position = 0
                let limit = UInt32(table.count)
                while initialized < count, position < bytes.count {
                    var rank = UInt32(bytes[position])
                    position += 1
                    if rank >= 0x80 {
                        rank &= 0x7F
                        var shift: UInt32 = 7
                        while true {
                            guard position < bytes.count, shift < 32 else { return }
                            let byte = UInt32(bytes[position])
                            position += 1
                            rank |= (byte & 0x7F) << shift
                            if byte < 0x80 { break }
                            shift += 7
                        }
                    }
                    guard rank < limit else { return }
                    ids[initialized] = table[Int(rank)]
                    initialized += 1
                }
                end = position
            }
        }
        guard ids.count == count, end == bytes.count else { throw DecodingFailure("its tokens can't be read") }
        return ids
    }
}

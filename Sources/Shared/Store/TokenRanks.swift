/// Token ids numbered by how frequent they are, so that frequent ones take one byte in a store.
///
/// Rank 0 is the most frequent token of the dataset's beginning; ids that don't occur there follow in ascending order.
package struct TokenRanks: Sendable {
    /// The vocabulary's ids by rank.
    package let idByRank: [Int32]
    private let rankByID: [Int32]
    /// How many ids were ranked by their count.
    private let rankedCount: Int

    package var vocabSize: Int { idByRank.count }

    /// - Parameter counts: How often each id of the vocabulary occurs; equally frequent ids are ranked ascending.
    package init(counts: [Int]) {
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
    package init(decoding bytes: UnsafeRawBufferPointer, vocabSize: Int) throws(DecodingFailure) {
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

    package var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.varint(vocabSize)
        writer.varint(rankedCount)
        for id in idByRank.prefix(rankedCount) { writer.varint(Int(id)) }
        return writer.bytes
    }

    /// Appends the tokens' ranks as varints.
    ///
    /// The ids must be below the vocabulary's size.
    package func encode(_ ids: [Int32], to bytes: inout [UInt8]) {
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
    package func decode(_ bytes: UnsafeRawBufferPointer, count: Int) throws(DecodingFailure) -> [Int32] {
        guard count <= bytes.count else { throw DecodingFailure("\(count) tokens don't fit \(bytes.count) bytes") }
        var end = 0
        let ids = idByRank.withUnsafeBufferPointer { table in
            [Int32](unsafeUninitializedCapacity: count) { ids, initialized in
                var position = 0
                while initialized < count {
                    Self.decodeShort(bytes, &position, table, ids, &initialized)
                    guard initialized < count, let rank = Self.rank(bytes, &position), rank < table.count else { break }
                    ids[initialized] = table[Int(rank)]
                    initialized += 1
                }
                end = position
            }
        }
        guard ids.count == count, end == bytes.count else { throw DecodingFailure("its tokens can't be read") }
        return ids
    }

    /// Reads tokens of one or two bytes, nearly all there are, four at a time and without a branch on their size; ends
    /// where a longer one or the end is near.
    private static func decodeShort(
        _ bytes: UnsafeRawBufferPointer, _ position: inout Int, _ table: UnsafeBufferPointer<Int32>,
        _ ids: UnsafeMutableBufferPointer<Int32>, _ initialized: inout Int
    ) {
        while initialized + 4 <= ids.count, position + 8 <= bytes.count {
            var word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let continued = word & 0x8080_8080_8080_8080
            guard continued & continued << 8 == 0 else { return }
            var size = 0
            for i in initialized..<initialized + 4 {
                let isLong = word >> 7 & 1
                let rank = Int(word & 0x7F | (word >> 1 & 0x3F80 & (0 &- isLong)))
                guard rank < table.count else { return }
                ids[i] = table[rank]
                word >>= 8 + 8 * isLong
                size += 1 + Int(isLong)
            }
            initialized += 4
            position += size
        }
    }

    /// One token's rank, unless the bytes end before it does or it is longer than ranks are.
    private static func rank(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> UInt32? {
        var rank: UInt32 = 0
        var shift: UInt32 = 0
        while position < bytes.count, shift < 32 {
            let byte = UInt32(bytes[position])
            position += 1
            rank |= (byte & 0x7F) << shift
            if byte < 0x80 { return rank }
            shift += 7
        }
        return nil
    }
}

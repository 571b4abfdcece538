/// Where a block's frames are and how long their samples are: the record that lets a reader go straight to a sample.
package struct StoreBlockIndex: Equatable {
    package struct Group: Equatable {
        /// The frame's size in bytes.
        package var size: Int
        /// Each sample's tokens.
        package var lengths: [Int32]

        package init(size: Int, lengths: [Int32]) { (self.size, self.lengths) = (size, lengths) }
    }

    /// No frame is larger: so that sizes can be added up, whatever a damaged index says.
    private static let largestGroup = 1 << 31

    package var firstGroup: Int
    package var firstSample: Int
    package var groups: [Group]

    package func encoded(block: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.varint(block)
        writer.varint(firstGroup)
        writer.varint(firstSample)
        writer.varint(groups.count)
        for group in groups {
            writer.varint(group.size)
            writer.varint(group.lengths.count)
            for length in group.lengths { writer.varint(Int(length)) }
        }
        return writer.bytes
    }

    /// Reads the index of block number `block`, which follows `firstGroup` groups and `firstSample` samples.
    package init(
        decoding bytes: UnsafeRawBufferPointer, block: Int, firstGroup: Int, firstSample: Int
    ) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        try reader.expect(block, "the block's number")
        try reader.expect(firstGroup, "the first group's number")
        try reader.expect(firstSample, "the first sample's number")
        self.firstGroup = firstGroup
        self.firstSample = firstSample
        groups = []
        for _ in 0..<(try reader.count("the number of groups", bytesEach: 2)) {
            let size = try reader.varint("a group's size")
            guard size <= Self.largestGroup else { throw DecodingFailure("a group's size is \(size)") }
            var lengths: [Int32] = []
            for _ in 0..<(try reader.count("the number of samples")) {
                guard let length = Int32(exactly: try reader.varint("a sample's length")) else {
                    throw DecodingFailure("a sample is too long")
                }
                lengths.append(length)
            }
            groups.append(Group(size: size, lengths: lengths))
        }
        try reader.expectEnd()
    }

    package init(firstGroup: Int, firstSample: Int, groups: [Group] = []) {
        self.firstGroup = firstGroup
        self.firstSample = firstSample
        self.groups = groups
    }
}

/// How often each token is supervised, as a record.
package enum TokenCounts {
    package static func encode(_ counts: [UInt64]) -> [UInt8] {
        var writer = ByteWriter()
        writer.varint(counts.count)
        for count in counts { writer.varint(Int(count)) }
        return writer.bytes
    }

    package static func decode(
        _ bytes: UnsafeRawBufferPointer, vocabSize: Int, total: Int
    ) throws(DecodingFailure) -> [UInt64] {
        var reader = ByteReader(bytes)
        try reader.expect(vocabSize, "the vocabulary's size")
        var counts: [UInt64] = []
        var rest = total
        for _ in 0..<vocabSize {
            let count = try reader.varint("a token's count")
            guard count <= rest else { throw DecodingFailure("its counts are more than the supervised tokens") }
            rest -= count
            counts.append(UInt64(count))
        }
        try reader.expectEnd()
        guard rest == 0 else { throw DecodingFailure("its counts are fewer than the supervised tokens") }
        return counts
    }
}

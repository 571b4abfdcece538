import TestSupport
import Testing

@testable import Shared

/// Vocabularies whose ranks take up to one, two, three bytes; the last is larger than any that is known.
@Suite struct TokenRanksTests {
    static let vocabSizes = [100, 1000, 20_000, 50_000, 3_000_000]

    @Test(arguments: vocabSizes) func decodesWhatItEncoded(vocabSize: Int) throws {
        let ranks = ranks(vocabSize)
        var random = SplitMix64(seed: UInt64(vocabSize))
        for count in Array(0...40) + [1000] {
            for rareShare in [0, 0.05, 0.5, 1] {
                let ids = (0..<count).map { _ in
                    let isRare = Double.random(in: 0..<1, using: &random) < rareShare
                    return Int32.random(in: 0..<Int32(isRare ? vocabSize : min(300, vocabSize)), using: &random)
                }
                var bytes: [UInt8] = []
                ranks.encode(ids, to: &bytes)
                #expect(try decode(bytes, count, ranks) == ids)
            }
        }
    }

    @Test(arguments: vocabSizes) func refusesBytesThatAreNotTheTokens(vocabSize: Int) throws {
        let ranks = ranks(vocabSize)
        let ids = (0..<30).map { Int32(($0 * 7919) % vocabSize) }
        var bytes: [UInt8] = []
        ranks.encode(ids, to: &bytes)
        #expect(throws: DecodingFailure.self) { try decode(bytes, 31, ranks) }
        #expect(throws: DecodingFailure.self) { try decode(bytes, 29, ranks) }
        #expect(throws: DecodingFailure.self) { try decode(bytes.dropLast(), 30, ranks) }
        #expect(throws: DecodingFailure.self) { try decode(bytes + [0], 30, ranks) }
        #expect(throws: DecodingFailure.self) { try decode([UInt8](repeating: 0xFF, count: 30), 30, ranks) }
        // The first rank that there isn't, at each index.
        var writer = ByteWriter()
        writer.varint(vocabSize)
        for index in 0..<30 {
            var wrong: [UInt8] = []
            ranks.encode(Array(ids[..<index]), to: &wrong)
            wrong += writer.bytes
            ranks.encode(Array(ids[(index + 1)...]), to: &wrong)
            #expect(throws: DecodingFailure.self, "at \(index)") { try decode(wrong, 30, ranks) }
        }
    }

    private func ranks(_ vocabSize: Int) -> TokenRanks {
        TokenRanks(counts: (0..<vocabSize).map { ($0 * 31) % 997 })
    }

    private func decode(_ bytes: some Collection<UInt8>, _ count: Int, _ ranks: TokenRanks) throws -> [Int32] {
        try Array(bytes).withUnsafeBytes { try ranks.decode($0, count: count) }
    }
}

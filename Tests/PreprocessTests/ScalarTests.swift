import Shared
import TestSupport
import Testing

@testable import Preprocess

/// What kinds of scalars there are and what normalizers make of each, against tokenizers 0.22.
struct ScalarTests {
    /// FNV-1a of 64 bits.
    private struct FNV {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    private static let scalars = (UInt32(0)..<0x110000).compactMap(Unicode.Scalar.init)

    @Test func classesAreOnigurumas() {
        var hash = FNV()
        for scalar in Self.scalars { hash.add(ScalarClasses.shared[scalar.value].subtracting(.newerNumber).rawValue) }
        // Of the classes found by splitting every scalar with tokenizers 0.22.
        #expect(hash.state == 0xEB38_6E43_977C_D1B2)
    }

    @Test(arguments: [
        ("whitespace", ScalarKind.whitespace), ("number", .number), ("punctuation", .punctuation), ("word", .word),
        ("mark", .mark),
    ])
    func kindsAreHuggingFaces(name: String, kind: ScalarKind) throws {
        let golden = try TokenizerGoldenTests.small.get().root.value
        var expected: Set<Int> = []
        for range in try #require(golden["scalars"]?[name]).elements {
            let ends = range.elements.compactMap(\.int)
            expected.formUnion(ends[0]...ends[1])
        }
        let found = Set(Self.scalars.filter(kind.contains).map { Int($0.value) })
        #expect(!expected.isEmpty)
        #expect(found.symmetricDifference(expected).sorted().map { String($0, radix: 16) } == [])
    }

    @Test(arguments: ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"])
    func normalFormsAreHuggingFaces(name: String) throws {
        let golden = try TokenizerGoldenTests.small.get().root.value
        let node = try JSONFile(contents: Array(#"{"type": "\#(name)"}"#.utf8), path: "normalizer").root
        let (steps, scratch, matcher) = (try Normalizer.load(node), NormalizerScratch(), Matcher())
        var hash = FNV()
        let text = PaddedText()
        for scalar in Self.scalars {
            text.removeAll()
            Array(String(Character(scalar)).utf8).withUnsafeBufferPointer { bytes in
                if let start = bytes.baseAddress { text.append(start, count: bytes.count) }
            }
            let view = AlignedView(start: UnsafePointer(text.start), range: 0..<text.count, origins: nil)
            for byte in try scratch.normalize(view, steps, with: matcher).bytes { hash.add(byte) }
            hash.add(0)
        }
        let expected = try #require(golden["normalized"]?[name]?.string)
        #expect(hash.state == UInt64(expected, radix: 16))
    }
}

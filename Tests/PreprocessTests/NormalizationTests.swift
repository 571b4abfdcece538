import Foundation
import TestSupport
import Testing

@testable import Preprocess

/// Unicode's normal forms of texts, against Foundation's; those of each scalar against Hugging Face's are in ScalarTests.
struct NormalizationTests {
    /// Scalars that normal forms have to do with, by kind, as of Unicode 9.0.
    private static let kinds: [[Unicode.Scalar]] = [
        // Marks of many classes, marks that decompose, and marks that are excluded from composition.
        scalars([0x300...0x34E, 0x483...0x487, 0x591...0x5BD, 0x64B...0x65F, 0x93C...0x93C, 0x94D...0x94D]),
        scalars([0x340...0x345, 0xF71...0xF84, 0x1DC0...0x1DF5, 0x20D0...0x20F0, 0x3099...0x309A, 0x1D165...0x1D16D]),
        // Letters that compose, and composed ones.
        scalars([0x41...0x7A, 0xC0...0x17F, 0x1E00...0x1FFF, 0x387...0x3CE, 0x400...0x45F, 0x3041...0x30FF]),
        // Spacing marks of class 0 that compose with the letter before.
        scalars([0x9C7...0x9CC, 0x9BE...0x9BE, 0x9D7...0x9D7, 0xB47...0xB57, 0xBC6...0xBD7, 0xCC6...0xCD6]),
        scalars([0xD46...0xD57, 0xDCF...0xDDF, 0x1025...0x102E, 0x1B05...0x1B43, 0x11131...0x11132, 0x110A5...0x110BA]),
        // Hangul: syllables with and without a final consonant, and the parts of syllables, old ones too.
        scalars([0xAC00...0xAC1D, 0xD788...0xD7A3]), scalars([0x1100...0x1115, 0x1160...0x1178, 0x11A6...0x11C5]),
        // Singletons, exclusions from composition, and compatible forms, the longest of 18 scalars.
        scalars([0x212A...0x212B, 0x2126...0x2126, 0x1F71...0x1F7D, 0xF900...0xFA6D, 0x2F800...0x2FA1D]),
        scalars([0x958...0x95F, 0xFB1D...0xFB4E, 0x2ADC...0x2ADC, 0x1D15E...0x1D164, 0xF43...0xF43]),
        scalars([
            0xFB00...0xFB06, 0xFF61...0xFF9F, 0xFFA0...0xFFDC, 0x2460...0x24FF, 0x1D400...0x1D433, 0xFDFA...0xFDFB,
        ]),
        scalars([0x20...0x7E, 0x4E00...0x4E20, 0x1F600...0x1F610]),
    ]

    private static func scalars(_ ranges: [ClosedRange<UInt32>]) -> [Unicode.Scalar] {
        ranges.joined().compactMap(Unicode.Scalar.init).filter { scalar in
            scalar.properties.age.map { ($0.major, $0.minor) <= UnicodeNormalization.unicodeVersion } ?? false
        }
    }

    private static func randomText(using generator: inout SplitMix64) -> String.UnicodeScalarView {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
            let kind = kinds.randomElement(using: &generator) ?? []
            let isLong = Int.random(in: 0..<20, using: &generator) == 0
            for _ in 0..<Int.random(in: 1...(isLong ? 400 : 4), using: &generator) {
                if let scalar = kind.randomElement(using: &generator) { text.append(scalar) }
            }
        }
        return text
    }

    private static func normalized(_ text: [UInt8], _ form: UnicodeNormalization) -> (
        text: [UInt8], origins: [Range<Int>]
    ) {
        let (source, result) = (PaddedText(), AlignedText())
        text.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { source.append(start, count: bytes.count) }
        }
        let view = AlignedView(start: UnsafePointer(source.start), range: 0..<source.count, origins: nil)
        let normal = form.rewrite(view, into: result) ? result.view : view
        return (
            Array(normal.bytes),
            normal.range.map { Int(normal.origin($0).lowerBound)..<Int(normal.origin($0).upperBound) }
        )
    }

    private static func reference(_ text: String, _ form: UnicodeNormalization) -> String {
        switch form {
        case .nfc: text.precomposedStringWithCanonicalMapping
        case .nfd: text.decomposedStringWithCanonicalMapping
        case .nfkc: text.precomposedStringWithCompatibilityMapping
        case .nfkd: text.decomposedStringWithCompatibilityMapping
        }
    }

    @Test(arguments: UnicodeNormalization.allCases)
    func randomTextsAreNormalizedAsFoundationDoes(form: UnicodeNormalization) {
        var generator = SplitMix64(seed: 21)
        var changed = 0
        for _ in 0..<4000 {
            let text = String(Self.randomText(using: &generator))
            let found = Self.normalized(Array(text.utf8), form)
            #expect(
                found.text == Array(Self.reference(text, form).utf8),
                "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
            changed += found.text == Array(text.utf8) ? 0 : 1
            // A normal form is its own.
            #expect(Self.normalized(found.text, form).text == found.text)
            let isInOrder = zip(found.origins, found.origins.dropFirst()).allSatisfy {
                $0.lowerBound <= $1.lowerBound && $0.upperBound <= $1.upperBound
            }
            #expect(isInOrder && found.origins.allSatisfy { !$0.isEmpty && $0.upperBound <= text.utf8.count })
        }
        #expect(changed > 2000)
    }

    /// What changes comes from its own letter and marks, and not from those beside them.
    @Test func eachLetterComesFromItsOwnMarks() {
        let text = Array("xe\u{301}\u{323}ye\u{301}z".utf8)
        let (normal, origins) = Self.normalized(text, .nfc)
        #expect(normal == Array("x\u{1EB9}\u{301}y\u{E9}z".utf8))
        #expect(origins == [0..<1, 1..<6, 1..<6, 1..<6, 1..<6, 1..<6, 6..<7, 7..<10, 7..<10, 10..<11])
    }

    /// What Unicode gained after 9.0 has no class: U+1DF9 (Unicode 14) isn't moved, and no mark is moved over it.
    @Test(arguments: UnicodeNormalization.allCases)
    func newerMarksStayWhereTheyAre(form: UnicodeNormalization) {
        let text = "q\u{301}\u{1DFA}\u{323}\u{301}\u{323}"
        #expect(Self.normalized(Array(text.utf8), form).text == Array("q\u{301}\u{1DFA}\u{323}\u{323}\u{301}".utf8))
    }

    /// Marks that have to be ordered, in runs of any length: a library's sort took hours for a few megabytes.
    @Test(.timeLimit(.minutes(1)), arguments: UnicodeNormalization.allCases)
    func aRunOfMarksIsOrderedInLinearTime(form: UnicodeNormalization) {
        let count = 500_000
        let (normal, origins) = Self.normalized(
            Array(("q" + String(repeating: "\u{301}\u{323}", count: count)).utf8), form)
        let marks = String(repeating: "\u{323}", count: count) + String(repeating: "\u{301}", count: count)
        #expect(normal == Array(("q" + marks).utf8))
        #expect(origins[1] == 0..<4 * count + 1)
    }
}

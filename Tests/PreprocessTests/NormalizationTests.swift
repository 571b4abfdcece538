import Foundation
import TestSupport
import Testing

@testable import Preprocess

/// Unicode's normal forms of texts; those of each scalar are in ScalarTests.
struct NormalizationTests {
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

    /// Letters, marks in runs, Hangul, exclusions and newer scalars, in random order.
    @Test(arguments: UnicodeNormalization.allCases)
    func randomTextsAreNormalizedAsHuggingFaceDoes(form: UnicodeNormalization) throws {
        let file = try Gzip.json(Fixtures.folder.appending(path: "text/normalization.json.gz"))
        defer { withExtendedLifetime(file) {} }
        let golden = file.root.value
        let texts = try #require(golden["texts"]).elements.compactMap(\.utf8)
        let expected = try #require(golden[form.rawValue]).elements.compactMap(\.utf8)
        #expect(texts.count == expected.count && texts.count > 500)
        for (text, expected) in zip(texts, expected) {
            let found = Self.normalized(Array(text), form)
            #expect(
                found.text.elementsEqual(expected),
                "\(String(decoding: text, as: UTF8.self).unicodeScalars.map { String($0.value, radix: 16) })")
            // A normal form is its own.
            #expect(Self.normalized(found.text, form).text == found.text)
            let isInOrder = zip(found.origins, found.origins.dropFirst()).allSatisfy {
                $0.lowerBound <= $1.lowerBound && $0.upperBound <= $1.upperBound
            }
            #expect(isInOrder && found.origins.allSatisfy { !$0.isEmpty && $0.upperBound <= text.count })
        }
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
    @Test(.mayNotHang, arguments: UnicodeNormalization.allCases)
    func aRunOfMarksIsOrderedInLinearTime(form: UnicodeNormalization) {
        let count = 500_000
        let (normal, origins) = Self.normalized(
            Array(("q" + String(repeating: "\u{301}\u{323}", count: count)).utf8), form)
        let marks = String(repeating: "\u{323}", count: count) + String(repeating: "\u{301}", count: count)
        #expect(normal == Array(("q" + marks).utf8))
        #expect(origins[1] == 0..<4 * count + 1)
    }
}

import Foundation
import Shared
import TestSupport

@testable import Preprocess

/// A tokenizer of `fixtures/tokenizers`.
func fixtureTokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(ModelFiles(Fixtures.folder.appending(path: "tokenizers/\(name)").path(percentEncoded: false)))
}

extension TokenEncoder {
    /// The tokens of a text as arrays.
    func encode(_ text: [UInt8]) throws -> (ids: [Int], ranges: [Range<Int>]) {
        let encoded = EncodedText()
        try text.withUnsafeBufferPointer { try encode($0, into: encoded) }
        return (
            encoded.ids.map(Int.init), zip(encoded.starts, encoded.ends).map { Int($0)..<Int($1) }
        )
    }

    func ids(_ text: String) throws -> [Int] { try encode(Array(text.utf8)).ids }
}

/// Text of all scripts, with what patterns treat apart: line ends, spaces, digits, apostrophes, marks.
func randomText(_ scalars: Int, using generator: inout SplitMix64) -> [UInt8] {
    let special = Array(
        " \n\r\t'aBc09.,/\u{17F}\u{A0}\u{85}\u{3000}\u{2028}\u{180E}\u{200B}\u{301}\u{1C5}\u{BD}\u{10D40}\u{1E5D0}"
            .unicodeScalars)
    let contractions = [
        "'s", "'S", "'re", "'LL", "'\u{17F}", "'ve ", "'d", " word", "Capital", " ABCDEFGHIJdefghijklmn",
        "aVeryLongWordOf", "ABC",
    ]
    let ranges: [ClosedRange<UInt32>] = [
        0x20...0x7E, 0x20...0x7E, 0x20...0x7E, 0xA0...0x24F, 0x250...0x1200, 0x1200...0x3100, 0x4E00...0x9FFF,
        0xAC00...0xD7A3, 0x1D400...0x1D7FF, 0x1F300...0x1F6FF, 0x10000...0x10FFFF,
    ]
    var text: [UInt8] = []
    for _ in 0..<scalars {
        switch UInt32.random(in: 0..<10, using: &generator) {
        case 0..<4: text += Array(String(special.randomElement(using: &generator) ?? " ").utf8)
        case 4: text += Array((contractions.randomElement(using: &generator) ?? "'s").utf8)
        default:
            let range = ranges.randomElement(using: &generator) ?? 0x20...0x7E
            let scalar = Unicode.Scalar(UInt32.random(in: range, using: &generator)) ?? "?"
            text += Array(String(scalar).utf8)
        }
    }
    return text
}

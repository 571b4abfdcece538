import TestSupport
import Testing

@testable import Shared

/// JSON texts that are damaged are refused, or read as what they say.
struct JSONFuzzTests {
    private static let text =
        #"{"id": "é\u00e9", "n": [1, -2.5e3, 18446744073709551615, true, null], "o": {"k": {"k": []}}, "": "", "x": NaN}"#

    /// What is read and written again reads as the same: every value was walked to its end, and none was made up.
    @Test(arguments: [false, true])
    func whatIsReadIsTheSameWhenItIsWrittenAndReadAgain(takesNaN: Bool) throws {
        let (parser, again) = (JSONParser(takesNaN: takesNaN), JSONParser())
        var (read, refused) = (0, 0)
        try Fuzzing("json", iterations: 3000).run { generator in
            let sound = Self.text.replacing("NaN", with: takesNaN ? "NaN" : "0")
            let damaged = Mutator().mutate(Array(sound.utf8), using: &generator)
            do throws(JSONError) {
                let value = JSONText(try parser.parse(damaged))
                #expect(JSONText(try again.parse(value.compact.utf8)).compact == value.compact)
                #expect(JSONText(try again.parse(value.pretty.utf8)).compact == value.compact)
                read += 1
            } catch {
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0)
    }
}

import TestSupport
import Testing

@testable import Shared

/// JSON texts that are damaged are refused, or walked to their end.
struct JSONFuzzTests {
    private static let text =
        #"{"id": "é\u00e9", "n": [1, -2.5e3, 18446744073709551615, true, null], "o": {"k": {"k": []}}, "": ""}"#

    private static func walk(_ value: JSONValue, _ depth: Int = 0) -> Int {
        _ = (value.string, value.int, value.double, value.bool)
        return value.elements.reduce(1) { $0 + walk($1, depth + 1) }
            + value.members.reduce(0) { $0 + $1.key.count + walk($1.value, depth + 1) }
    }

    @Test func textsAreReadOrRefused() throws {
        let parser = JSONParser()
        try Fuzzing("json", iterations: 5000).run { generator in
            let damaged = Mutator().mutate(Array(Self.text.utf8), using: &generator)
            do throws(JSONError) {
                #expect(Self.walk(try parser.parse(damaged)) > 0)
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }
}

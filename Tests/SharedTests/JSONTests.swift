import Testing

@testable import Shared

struct JSONTests {
    private let parser = JSONParser()

    private func parse(_ text: String) throws -> JSONValue { try parser.parse(text.utf8) }

    @Test func walksObjectsAndArraysInOrder() throws {
        let root = try parse(
            #"{"b": [1, -2, 3.5, true, null, "ü\n\u00e9"], "a": {"x": {}, "y": []}, "big": 18446744073709551615}"#)
        #expect(root.members.map { String(decoding: $0.key, as: UTF8.self) } == ["b", "a", "big"])
        let elements = Array(try #require(root["b"]).elements)
        #expect(elements.map(\.kind) == [.integer, .integer, .number, .boolean, .null, .string])
        #expect(elements[0].int == 1 && elements[1].int == -2 && elements[2].double == 3.5 && elements[3].bool == true)
        #expect(elements[5].string == "ü\né" && elements[2].int == nil)
        #expect(root["a"]?["y"]?.kind == .array && root["missing"] == nil)
        #expect(root["big"]?.double == 0x1p64 && root["big"]?.int == nil)
    }

    @Test func integersBeyond64BitsAreNumbers() throws {
        let text =
            #"{"a": 1000000000000000019884624838656, "b": "\" 1000000000000000019884624838656", "c": [-99999999999999999999]}"#
        let root = try parse(text)
        #expect(root["a"]?.double == 1e30 && root["b"]?.string == "\" 1000000000000000019884624838656")
        #expect(root["c"]?.elements.map(\.double) == [-1e20])
        #expect(throws: JSONError.self) { try parse("[1000000000000000019884624838656") }
    }

    @Test func theLastOfTwoEqualKeysCounts() throws {
        let value = try parse(#"{"a": 1, "b": 2, "a": null, "a": 3}"#)
        #expect(value["a"]?.int == 3)
        #expect(JSONText(value).compact == #"{"a":3,"b":2}"#)
        // Equal for Swift's strings, not for JSON.
        #expect(try JSONText(parse("{\"e\u{301}\": 1, \"\u{e9}\": 2}")).compact == "{\"e\u{301}\":1,\"\u{e9}\":2}")
        #expect(try parse(#"{"a": 1, "a": null}"#).value("a") == nil)
    }

    @Test(arguments: ["", " ", "{", "[1,", #"{"a" 1}"#, "tru", #""\ud83d""#, "[1] 2", "nan", #"{"a": 01}"#])
    func refusesWhatIsNotJSON(text: String) { #expect(throws: JSONError.self) { try parse(text) } }

    @Test func refusesInvalidUTF8AndDeepNesting() {
        #expect(throws: JSONError.self) { try parser.parse([0x22, 0xFF, 0x22]) }
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        #expect(throws: JSONError.self) { try parser.parse(deep) }
    }

    @Test func everyTruncationThrows() throws {
        let text = Array(#"{"conversations": [{"from": "human", "value": "a\u00e9\\"}, {"n": 1.5e3}]}"#.utf8)
        for count in 0..<text.count {
            #expect(throws: JSONError.self) { try parser.parse(text[..<count]) }
        }
        _ = try parser.parse(text)
    }

    @Test func writesWhatItReads() throws {
        let text = #"{"s":"a\"\\\n\u0001é","n":[1,-2,0.5,1e+30],"t":true,"z":null,"o":{},"e":[]}"#
        let once = JSONText(try parse(text)).compact
        #expect(JSONText(try parse(once)).compact == once)
        #expect(JSONText(try parse(JSONText(try parse(text)).pretty)).compact == once)
        #expect(JSONText.number(.infinity).compact == "null")
    }

    @Test func errorsOfAFileNameTheKey() throws {
        let file = try JSONFile(contents: Array(#"{"a": {"n": "x"}, "i": 1.5}"#.utf8), path: "config.json")
        #expect(throws: JSONError("key 'hidden_size' is missing", at: "config.json")) {
            try file.root.int("hidden_size")
        }
        #expect(throws: JSONError("key 'a.n' is a string, should be an integer", at: "config.json")) {
            try file.root.required("a").int("n")
        }
        #expect(throws: JSONError("key 'i' is a number, should be an integer", at: "config.json")) {
            try file.root.int("i")
        }
        #expect(throws: JSONError.self) { try JSONFile(contents: [], path: "empty.json") }
    }
}

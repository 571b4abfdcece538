import Foundation
import Shared
import Testing

@testable import Trainer

/// Hosts that aren't this one, as `--hosts` names them.
struct PlannedHostsTests {
    private static let rates = MachineRates(
        threads: 8, ranks: 2,
        products: MachineRates.Shape.allCases.map { .init(shape: $0, precision: .float32, rate: 4e11) },
        attention: [.float32: 1e11], memory: 5e10, exchange: 2e9)

    private static func written(_ directory: String, _ rates: MachineRates = rates) throws -> String {
        let path = "\(directory)/rates:of a node.json"
        try writeFile(path, JSONText.object([("passes", .array([])), ("rates", rates.json)]).compact.utf8)
        return path
    }

    @Test func ratesAreReadAsTheyWereWritten() throws {
        try withTemporaryDirectory { directory in
            let read = try MachineRates(Self.written(directory))
            #expect(read == Self.rates)
            var alone = Self.rates
            alone.exchange = nil
            alone.attention[.bfloat16] = 7e11
            let again = try MachineRates(Self.written(directory, alone))
            #expect(again == alone)
        }
    }

    /// Every damaged file of rates is an error that names what is wrong.
    @Test(arguments: [
        ("\"threads\":8", "\"threads\":0", "threads"), ("\"format\":1", "\"format\":9", "this version reads"),
        ("\"large\"", "\"huge\"", "should be one of few, small, large"), ("\"rates\"", "\"rate\"", "rates"),
        ("\"memory_bytes_per_second\":", "\"memory_bytes_per_second\":-", "should be above 0"),
        ("\"dtype\":\"float32\"", "\"dtype\":\"int4\"", "should be float32 or bfloat16"),
    ])
    func damagedRatesAreErrors(part: String, replacement: String, message: String) throws {
        try withTemporaryDirectory { directory in
            let path = try Self.written(directory)
            let text = String(decoding: try readFile(path), as: UTF8.self)
            #expect(text.contains(part))
            try writeFile(path, text.replacingOccurrences(of: part, with: replacement).utf8)
            let error = #expect(throws: JSONError.self) { try MachineRates(path) }
            #expect(error.map { "\($0)".contains(message) } == true, "\(String(describing: error))")
        }
    }

    @Test func hostsAreSpecificationsOrLinesOfAFile() throws {
        try withTemporaryDirectory { directory in
            let rates = try Self.written(directory)
            let specifications = ["8x2x32", "1x1x4:24.5", "2x4x8:512:\(rates)", "2x4x8::\(rates)"]
            let hosts = try PlannedHosts.read(specifications)
            #expect(hosts.map(\.count) == [8, 1, 2, 2] && hosts.map(\.ranks) == [2, 1, 4, 4])
            #expect(hosts.map(\.threads) == [32, 4, 8, 8])
            #expect(hosts.map(\.memory) == [nil, 24_500_000_000, 512_000_000_000, nil])
            #expect(hosts.map { $0.rates != nil } == [false, false, true, true])
            let file = "\(directory)/hosts"
            try writeFile(file, ("# two kinds\n\n" + specifications.joined(separator: " # x\r\n")).utf8)
            #expect(try PlannedHosts.read([file]) == hosts)
        }
    }

    @Test(arguments: [
        "", "8", "8x2", "8x2x32x1", "0x2x32", "8x-2x32", "8x2x2000", "ax2x32", "8x2x32:none", "8x2x32:0", "8x2x32:1e99",
        "8x2x32:512:", "99999999999999999999x1x1",
    ])
    func whatIsNoHostIsRefused(text: String) {
        let error = #expect(throws: OptionsError.self) { try PlannedHosts.read([text]) }
        #expect(error.map { "\($0)".contains("--hosts") && "\($0)".contains(PlannedHosts.form) } == true)
    }

    /// Twice as fast there, or twice as many threads, is half the time; of another precision nobody knows.
    @Test func aPaceIsThatOfTheRates() throws {
        var here = Self.rates
        here.threads = 2
        for (index, product) in here.products.enumerated() {
            here.products[index] = .init(shape: product.shape, precision: .float32, rate: 1e11)
        }
        here.attention = [.float32: 5e10]
        here.memory = 1e10
        var hosts = try PlannedHosts("8x2x8", at: "here")
        hosts.rates = Self.rates
        let measured = try hosts.pace(beside: here, .float32, exchange: 1e9)
        #expect(measured.products == 0.25 && measured.attention == 0.5 && measured.memory == 0.2)
        #expect(measured.exchange == 2e9)
        hosts.threads = 16
        #expect(try hosts.pace(beside: here, .float32, exchange: 1e9).products == 0.125)
        #expect(throws: OptionsError.self) { try hosts.pace(beside: here, .bfloat16, exchange: 1e9) }
        hosts.rates = nil
        let assumed = try hosts.pace(beside: here, .float32, exchange: 1e9)
        #expect(assumed.products == 0.125 && assumed.memory == 0.125 && assumed.exchange == 8e9)
    }
}

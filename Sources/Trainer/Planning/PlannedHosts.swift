import Shared

/// Hosts of a run that are alike, and that needn't be there while it is planned.
struct PlannedHosts: Equatable {
    /// How many there are.
    var count: Int
    /// Ranks of each, and threads of each rank.
    var ranks: Int
    var threads: Int
    /// Bytes that each has; nil where nobody said.
    var memory: Int?
    /// How fast its ranks are; nil for as fast, thread by thread, as this machine.
    var rates: MachineRates?

    static let form = "COUNTxRANKSxTHREADS[:MEMORY_GB[:RATES]]"

    /// Reads what `--hosts` was given: specifications, or a file with one on each line.
    ///
    /// - Throws: `OptionsError` that names what can't be read, with the file and line if there is one, and what would be
    ///   right; `JSONError` of a file of rates.
    static func read(_ arguments: [String]) throws -> [PlannedHosts] {
        try arguments.flatMap { argument in
            guard !argument.isEmpty, fileExists(argument) else { return [try PlannedHosts(argument, at: "--hosts")] }
            let text = String(decoding: try readFile(argument), as: UTF8.self)
            let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
                .compactMap {
                    number, line -> (Int, String)? in
                    let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }
                    return words.isEmpty ? nil : (number + 1, words.joined(separator: " "))
                }
            guard !lines.isEmpty else { throw OptionsError.rule("--hosts \(argument): has no line \(form)") }
            return try lines.map { number, line in try PlannedHosts(line, at: "--hosts \(argument):\(number)") }
        }
    }

    /// - Parameter source: Where the specification is, for errors.
    init(_ text: String, at source: String) throws {
        let fail = { (problem: String) in
            OptionsError.rule("\(source): '\(text)' \(problem), should be \(Self.form), as in 8x2x32:512:rates.json")
        }
        // A path may have colons of its own.
        let fields = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        let numbers = fields[0].split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard numbers.count == 3 else { throw fail("has \(numbers.count) of three numbers") }
        guard zip(numbers, [1 << 16, 1 << 10, 1 << 10]).allSatisfy({ 1...$1 ~= $0 }) else {
            throw fail("has hosts, ranks or threads outside of 1 to 65536, 1024 and 1024")
        }
        (count, ranks, threads) = (numbers[0], numbers[1], numbers[2])
        if fields.count > 1, !fields[1].isEmpty {
            guard let gigabytes = Double(fields[1]), 0.001...1_000_000 ~= gigabytes else {
                throw fail("has a memory of '\(fields[1])' GB")
            }
            memory = Int(gigabytes * 1e9)
        }
        if fields.count > 2 {
            guard !fields[2].isEmpty else { throw fail("names no file of rates") }
            rates = try MachineRates(fields[2])
        }
    }
}

/// How long parts of a step take, beside what they took here.
struct Pace {
    /// Factors of what products, attention and the reading and writing of memory take.
    var products: Double
    var attention: Double
    var memory: Double
    /// Bytes a second that ranks exchange.
    var exchange: Double
}

extension PlannedHosts {
    /// A host's pace beside this machine's, all of whose threads computed a sample.
    ///
    /// - Parameters:
    ///   - here: What this machine's threads do together.
    ///   - precision: That of products, there and here.
    ///   - exchange: Bytes a second that ranks of this machine exchange.
    /// - Throws: `OptionsError` if the rates don't have this precision.
    func pace(beside here: MachineRates, _ precision: MatrixPrecision, exchange: Double) throws(OptionsError) -> Pace {
        guard let rates else {
            let factor = Double(here.threads) / Double(threads)
            return Pace(products: factor, attention: factor, memory: factor, exchange: exchange / factor)
        }
        guard let product = rates.product(.large, precision), let attention = rates.attention[precision],
            let productHere = here.product(.large, precision), let attentionHere = here.attention[precision]
        else {
            throw .rule("--hosts: the rates have no products in \(precision): measure on a CPU that has them")
        }
        // As if threads were worth the same: rates of another number of them are an estimate.
        let scale = Double(rates.threads) / Double(threads)
        return Pace(
            products: productHere / product * scale, attention: attentionHere / attention * scale,
            memory: here.memory / rates.memory, exchange: rates.exchange ?? exchange)
    }
}

import Foundation

/// Random mutation of sound inputs, for tests that nothing crashes, hangs or is misread.
///
/// In an ordinary test run, a fuzz test tries a fixed number of inputs from fixed seeds. `scripts/fuzz.sh` sets
/// `EYRIE_FUZZ_SECONDS`, and then it tries new ones for as long; each input has a seed of its own, which is written to
/// `EYRIE_FUZZ_FOLDER` before it is tried, so that a crash can be repeated with `EYRIE_FUZZ_SEED`.
public struct Fuzzing {
    private let name: String
    private let iterations: Int
    private let environment = ProcessInfo.processInfo.environment

    /// - Parameters:
    ///   - name: Of the subject, a file's name.
    ///   - iterations: The number of inputs of an ordinary run.
    public init(_ name: String, iterations: Int) {
        self.name = name
        self.iterations = iterations
    }

    /// Tries inputs: `body` makes one from the generator and says what must hold.
    public func run(_ body: (inout SplitMix64) throws -> Void) throws {
        if let seed = environment["EYRIE_FUZZ_SEED"].flatMap({ UInt64($0) }) { return try attempt(seed, body) }
        guard let seconds = environment["EYRIE_FUZZ_SECONDS"].flatMap({ Double($0) }) else {
            for seed in 0..<UInt64(iterations) { try attempt(seed, body) }
            return
        }
        let record = environment["EYRIE_FUZZ_FOLDER"].map { URL(filePath: $0).appending(path: name) }
        let end = ContinuousClock.now + .seconds(seconds)
        var seed = UInt64.random(in: 1 << 32..<1 << 48)
        while ContinuousClock.now < end {
            try record.map { try Data("\(seed)\n".utf8).write(to: $0) }
            try attempt(seed, body)
            seed += 1
        }
        try record.map { try Data("passed\n".utf8).write(to: $0) }
    }

    private func attempt(_ seed: UInt64, _ body: (inout SplitMix64) throws -> Void) throws {
        var generator = SplitMix64(seed: seed)
        try body(&generator)
    }
}

/// Makes damaged inputs.
public struct Mutator: Sendable {
    private let words: [[UInt8]]

    /// - Parameter words: What may be put in, besides numbers and literals that are often forgotten.
    public init(words: [String] = []) {
        let common = [
            "null", "true", "false", "0", "-1", "1e400", "2147483648", "99999999999999999999", "0.5", "\"\"", "[]",
            "{}",
            "\"\\u0000\"", "\"\u{301}\"", "\"a\"", "[[]]", "{\"\": 0}",
        ]
        self.words = (common + words).map { Array($0.utf8) }
    }

    /// Damages bytes in one to four ways.
    public func mutate(_ input: [UInt8], using generator: inout SplitMix64) -> [UInt8] {
        var bytes = input
        for _ in 0..<Int.random(in: 1...4, using: &generator) { damage(&bytes, using: &generator) }
        return bytes
    }

    private func damage(_ bytes: inout [UInt8], using generator: inout SplitMix64) {
        guard !bytes.isEmpty else { return bytes = words.randomElement(using: &generator) ?? [] }
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        let end = min(bytes.count, position + Int.random(in: 1...16, using: &generator))
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1: bytes.removeSubrange(position..<end)
        case 2: bytes.insert(contentsOf: bytes[position..<end], at: position)
        case 3: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: position)
        case 4: bytes.removeLast(bytes.count - position)
        default: replaceValue(&bytes, from: position, using: &generator)
        }
    }

    /// Puts a word where JSON has a value: the first after `position`, or the first of all.
    private func replaceValue(_ bytes: inout [UInt8], from position: Int, using generator: inout SplitMix64) {
        let word = words.randomElement(using: &generator) ?? []
        let colon = UInt8(ascii: ":")
        guard let start = bytes[position...].firstIndex(of: colon) ?? bytes.firstIndex(of: colon) else {
            bytes.insert(contentsOf: word, at: position)
            return
        }
        let end = bytes[start...].firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") } ?? bytes.count
        bytes.replaceSubrange(start + 1..<end, with: word)
    }
}

import Shared

/// Finds records whose questions are nearly an earlier one's, by MinHash (Broder 1997) with bands.
///
/// Compared are the sets of three words that follow each other in all that the user says, without case; a question of
/// fewer words is one of them. Each set has a signature of 64 numbers, the least hashes of its members by 64 functions:
/// the share of equal numbers of two signatures estimates the share of members that the sets have in common (Jaccard).
/// Records are near duplicates where it is at least 0.8. Only records are compared that have one of 16 bands of 4 numbers
/// in common; at 0.8 that finds all but one of 5,000.
struct NearDuplicates {
    static let share = 0.8
    static let shingle = 3
    private static let (bands, rows) = (16, 4)
    private static let count = bands * rows

    /// The functions: odd factors and summands of 64-bit arithmetic, whose high halves count.
    private let functions: [(factor: UInt64, summand: UInt64)]
    private var signatures: [UInt32] = []
    private var buckets: [UInt64: [Int32]] = [:]

    init() {
        func word(_ text: String) -> UInt64 { Digest(of: text).low }
        functions = (0..<Self.count).map { (word("factor \($0)") | 1, word("summand \($0)")) }
    }

    /// The number of the earlier record that this one is nearly, if there is one; else the record gets the next number.
    mutating func add(_ words: [Substring]) -> Int? {
        let signature = signature(of: words)
        let number = signatures.count / Self.count
        var keys: [UInt64] = []
        for band in 0..<Self.bands {
            let part = signature[band * Self.rows..<(band + 1) * Self.rows]
            let key = Array(part).withUnsafeBytes { Digest(of: $0).low } &+ UInt64(band)
            for other in buckets[key] ?? [] where isNear(signature, Int(other)) { return Int(other) }
            keys.append(key)
        }
        for key in keys { buckets[key, default: []].append(Int32(number)) }
        signatures += signature
        return nil
    }

    private func isNear(_ signature: [UInt32], _ other: Int) -> Bool {
        let known = signatures[other * Self.count..<(other + 1) * Self.count]
        let equal = zip(signature, known).count { $0 == $1 }
        return Double(equal) >= Self.share * Double(Self.count)
    }

    private func signature(of words: [Substring]) -> [UInt32] {
        let hashes = words.map { Digest(of: Array($0.utf8)).low }
        var signature = [UInt32](repeating: .max, count: Self.count)
        for start in 0...max(0, hashes.count - Self.shingle) {
            var member: UInt64 = 0
            for hash in hashes[start..<min(start + Self.shingle, hashes.count)] {
                member = (member &+ hash) &* 0x9E37_79B9_7F4A_7C15
                member ^= member >> 29
            }
            for (index, function) in functions.enumerated() {
                let value = UInt32(truncatingIfNeeded: (member &* function.factor &+ function.summand) >> 32)
                if value < signature[index] { signature[index] = value }
            }
        }
        return signature
    }
}

import CMachine
@preconcurrency import Glibc

/// Searches bytes for others.
public enum ByteSearch {
    /// Where `pattern` first occurs within `range` of `text`; nil if it doesn't, or is empty.
    ///
    /// - Complexity: Linear in both.
    public static func first(_ pattern: [UInt8], in text: [UInt8], _ range: Range<Int>) -> Int? {
        guard !pattern.isEmpty, pattern.count <= range.count else { return nil }
        return text.withUnsafeBytes { text in
            pattern.withUnsafeBytes { pattern in
                guard let start = text.baseAddress.map({ $0 + range.lowerBound }), let needle = pattern.baseAddress
                else { return nil }
                // Preparing a long pattern for the search takes longer than to compare it once.
                if memcmp(start, needle, pattern.count) == 0 { return range.lowerBound }
                guard let found = machine_find(start, range.count, needle, pattern.count)
                else { return nil }
                return range.lowerBound + (found - start)
            }
        }
    }

    /// Where `pattern` last occurs within `range` of `text`; nil if it doesn't, or is empty.
    public static func last(_ pattern: [UInt8], in text: [UInt8], _ range: Range<Int>) -> Int? {
        guard let first = pattern.first else { return nil }
        var position = range.upperBound - pattern.count
        while position >= range.lowerBound {
            if text[position] == first, text[position...].starts(with: pattern) { return position }
            position -= 1
        }
        return nil
    }

    /// How often `pattern` occurs within `range` of `text`, without overlaps.
    public static func count(_ pattern: [UInt8], in text: [UInt8], _ range: Range<Int>) -> Int {
        var (count, position) = (0, range.lowerBound)
        while let found = first(pattern, in: text, position..<range.upperBound) {
            count += 1
            position = found + pattern.count
        }
        return count
    }

    public static func contains(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        first(pattern, in: text, 0..<text.count) != nil
    }
}

extension Range<Int> {
    /// Neighbouring parts of a size, the last of which may be smaller.
    func chunks(_ size: Int) -> [Range<Int>] {
        stride(from: lowerBound, to: upperBound, by: size).map { $0..<Swift.min($0 + size, upperBound) }
    }
}

@preconcurrency import Glibc

/// An axis of a chart: what it shows, and where its ticks are.
public struct Axis {
    public let range: ClosedRange<Double>
    public let ticks: [Double]
    private let isLogarithmic: Bool

    /// An axis with ticks of one's own.
    public init(_ range: ClosedRange<Double>, ticks: [Double], isLogarithmic: Bool = false) {
        self.range = range
        self.ticks = ticks
        self.isLogarithmic = isLogarithmic
    }

    /// Round ticks around all values that are finite.
    /// - Parameter includesZero: Whether the axis begins at zero however far the values are from it.
    public static func linear(_ values: some Sequence<Double>, includesZero: Bool = false) -> Axis {
        let finite = values.filter(\.isFinite)
        var (low, high) = (finite.min() ?? 0, finite.max() ?? 1)
        if includesZero { (low, high) = (min(0, low), max(0, high)) }
        if high - low <= 1e-12 * max(abs(low), abs(high)) { high = low + max(1e-6, abs(low) * 0.1) }
        let step = niceStep((high - low) / 4)
        let (first, last) = ((low / step + 1e-9).rounded(.down), (high / step - 1e-9).rounded(.up))
        return Axis(first * step...last * step, ticks: (Int(first)...Int(last)).map { Double($0) * step })
    }

    /// From 0 to `count`, which needs no tick: steps.
    public static func steps(upTo count: Double) -> Axis {
        let step = max(1, niceStep(max(1, count) / 5))
        return Axis(0...max(1, count), ticks: Array(stride(from: 0, through: max(1, count), by: step)))
    }

    /// Powers of ten, with twos and fives between them where there are few; of the values above zero.
    public static func logarithmic(_ values: some Sequence<Double>) -> Axis {
        let logarithms = values.filter { $0 > 0 && $0.isFinite }.map { log10($0) }
        guard let low = logarithms.min(), let high = logarithms.max() else { return linear([]) }
        let factors = high - low < 2.5 ? [1.0, 2, 5] : [1]
        let all = (Int(low.rounded(.down)) - 1...Int(high.rounded(.up)) + 1).flatMap { power in
            factors.map { $0 * pow(10, Double(power)) }
        }
        let first = all.lastIndex { log10($0) <= low + 1e-9 } ?? 0
        let last = all.firstIndex { log10($0) >= high - 1e-9 && $0 > all[first] } ?? all.count - 1
        return Axis(all[first]...all[last], ticks: Array(all[first...last]), isLogarithmic: true)
    }

    /// Where a value lies on the axis, from 0 to 1; nil if it is outside.
    public func share(_ value: Double) -> Double? {
        guard value.isFinite, !isLogarithmic || value > 0 else { return nil }
        let (low, high) = (scaled(range.lowerBound), scaled(range.upperBound))
        return min(1, max(0, (scaled(value) - low) / max(high - low, 1e-300)))
    }

    private func scaled(_ value: Double) -> Double { isLogarithmic ? log10(value) : value }

    /// 1, 2, 2.5 or 5 times a power of ten, at least `least`.
    private static func niceStep(_ least: Double) -> Double {
        let power = pow(10, log10(least).rounded(.down))
        return ([1, 2, 2.5, 5].first { $0 * power >= least * (1 - 1e-9) } ?? 10) * power
    }
}

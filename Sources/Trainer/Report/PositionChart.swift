import Shared

extension LineChart {
    /// Curves over the positions ahead of a token, from 1 on.
    static func byPosition(
        _ name: String, _ curves: [Curve], includesZero: Bool, yText: @escaping (Double) -> String
    ) -> LineChart {
        let last = curves.flatMap(\.points).map(\.x).max() ?? 1
        return LineChart(
            name, x: Axis(0.5...last + 0.5, ticks: Array(stride(from: 1, through: last, by: 1))),
            y: .linear(curves.flatMap(\.points).map(\.y), includesZero: includesZero), curves, xName: "position",
            yText: yText)
    }

    /// Shares of all verifications, by position.
    static func shares(_ name: String, _ lines: [(name: String, shares: [Double])]) -> LineChart {
        let curves = lines.enumerated().map { index, line in
            Curve(
                line.name, color: "var(--run\(index % HTMLStyle.runColors))", .dots,
                line.shares.enumerated().map { (Double($0 + 1), $1) })
        }
        return byPosition(name, curves, includesZero: true, yText: shortPercent)
    }
}

/// "5%", or "5.2%" where that says more.
func shortPercent(_ share: Double) -> String {
    let percent = 100 * share
    let isWhole = abs(percent - percent.rounded()) < 0.05
    return "\(fixed(percent, isWhole || percent >= 9.5 ? 0 : 1))%"
}

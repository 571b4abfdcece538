import Shared

/// A chart as SVG, drawn in the page's colours.
///
/// Its size is what the page gives it on a usual screen, so that its text is as large as it says.
struct HTMLChart {
    /// Beside another one, and as wide as the page.
    static let half = HTMLChart(width: 488, height: 200)
    static let full = HTMLChart(width: 1030, height: 280)

    private let width: Double
    private let height: Double
    /// What axes and their labels take on each side.
    private let left = 44.0
    private let right = 8.0
    private let top = 10.0
    private let bottom = 26.0
    private var plotWidth: Double { width - left - right }
    private var plotHeight: Double { height - top - bottom }

    private init(width: Double, height: Double) { (self.width, self.height) = (width, height) }

    /// Bars, one for each bin.
    /// - Parameter label: What a bound is called, under the axis and in the bars' titles.
    func bars(_ histogram: Histogram, name: String, label: (Double) -> String) -> String {
        let limit = Self.niceLimit(Double(histogram.counts.max() ?? 0))
        let step = plotWidth / Double(histogram.counts.count)
        var body = horizontalLines(limit) { shortNumber($0) }
        for (i, count) in histogram.counts.enumerated() where count > 0 {
            let tall = max(1, plotHeight * Double(count) / limit)
            let x = left + Double(i) * step + 0.75
            let y = top + plotHeight - tall
            let range = "\(label(histogram.bounds[i])) to \(label(histogram.bounds[i + 1]))"
            body += """
                <rect class="bar" x="\(fixed(x, 1))" y="\(fixed(y, 1))" width="\(fixed(step - 1.5, 1))" \
                height="\(fixed(tall, 1))" rx="2"><title>\(htmlEscaped(range)): \(grouped(count))</title></rect>
                """
        }
        let last = histogram.bounds.count - 1
        for tick in 0...4 { body += xLabel(Double(tick) / 4, label(histogram.bounds[last * tick / 4])) }
        return svg(body, name)
    }

    /// A curve through points whose coordinates are shares of the axes, or several.
    func curves(
        _ curves: [(name: String, points: [(x: Double, y: Double, title: String)])], name: String,
        xLabels: [(at: Double, text: String)], yLabel: (Double) -> String
    ) -> String {
        var body = horizontalLines(1, yLabel)
        for (i, curve) in curves.enumerated() {
            let points = curve.points.map { (left + $0.x * plotWidth, top + (1 - $0.y) * plotHeight) }
            let path = points.map { "\(fixed($0.0, 1)),\(fixed($0.1, 1))" }.joined(separator: " ")
            body += "<polyline class=\"curve curve\(i)\" points=\"\(path)\"/>"
            for (point, value) in zip(points, curve.points) where !value.title.isEmpty {
                body += """
                    <circle class="dot curve\(i)" cx="\(fixed(point.0, 1))" cy="\(fixed(point.1, 1))" r="3.5">\
                    <title>\(htmlEscaped(value.title))</title></circle>
                    """
            }
        }
        for (at, text) in xLabels { body += xLabel(at, text) }
        return svg(body, name)
    }

    private func horizontalLines(_ limit: Double, _ label: (Double) -> String) -> String {
        (0...4).map { tick in
            let y = top + plotHeight * (1 - Double(tick) / 4)
            return """
                <line class="grid" x1="\(left)" x2="\(width - right)" y1="\(fixed(y, 1))" y2="\(fixed(y, 1))"/>\
                <text class="axis" x="\(left - 8)" y="\(fixed(y + 4, 1))" text-anchor="end">\
                \(label(limit * Double(tick) / 4))</text>
                """
        }.joined()
    }

    private func xLabel(_ share: Double, _ text: String) -> String {
        let anchor = share < 0.02 ? "start" : share > 0.98 ? "end" : "middle"
        return """
            <text class="axis" x="\(fixed(left + share * plotWidth, 1))" y="\(height - 8)" \
            text-anchor="\(anchor)">\(htmlEscaped(text))</text>
            """
    }

    private func svg(_ body: String, _ name: String) -> String {
        """
        <svg viewBox="0 0 \(Int(width)) \(Int(height))" role="img" aria-label="\(htmlEscaped(name))">\(body)</svg>
        """
    }

    /// The next number that divides into four well.
    static func niceLimit(_ value: Double) -> Double {
        var power = 1.0
        while power * 10 <= value { power *= 10 }
        for factor in [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10] where factor * power >= value {
            return max(4, factor * power)
        }
        return max(4, 10 * power)
    }
}

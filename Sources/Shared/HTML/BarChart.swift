/// A histogram: a bar for each bin.
public struct BarChart {
    private let frame: ChartFrame
    private let bounds: [Double]
    private let counts: [Int]
    private let label: (Double) -> String

    /// - Parameters:
    ///   - bounds: Of the bins, one more than there are counts.
    ///   - label: What a bound is called, under the axis and where the pointer is.
    public init(_ name: String, bounds: [Double], counts: [Int], label: @escaping (Double) -> String) {
        precondition(bounds.count == counts.count + 1)
        self.bounds = bounds
        self.counts = counts
        self.label = label
        let last = bounds.count - 1
        frame = ChartFrame(
            name: name,
            x: Axis(bounds[0]...max(bounds[last], bounds[0]), ticks: (0...4).map { bounds[last * $0 / 4] }),
            y: .linear(counts.map { Double($0) } + [4], includesZero: true), xText: label, yText: { shortNumber($0) })
    }

    public var html: String {
        let width = 1 / Double(counts.count)
        let bars = counts.indices.map { i in
            let height = max(counts[i] > 0 ? 0.005 : 0, frame.y.share(Double(counts[i])) ?? 0)
            let left = (Double(i) + 0.06) * width
            return """
                <rect class="bar" x="\(ChartFrame.length(left))" y="\(ChartFrame.length(1 - height))" \
                width="\(ChartFrame.length(0.88 * width))" height="\(ChartFrame.length(height))"/>
                """
        }
        let hits = counts.indices.map { i in
            ChartFrame.hit(
                from: Double(i) * width, to: Double(i + 1) * width,
                "\(label(bounds[i])) to \(label(bounds[i + 1])): \(grouped(counts[i]))")
        }
        return frame.html(bars.joined() + hits.joined())
    }
}

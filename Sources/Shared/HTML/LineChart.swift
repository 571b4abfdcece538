/// Curves over a shared axis.
public struct LineChart {
    public enum Style: String {
        case line
        /// Points that were measured one by one, with a thin line between them.
        case dots
        /// Beside a line of the same colour.
        case dashed
    }

    public struct Curve {
        let name: String
        let color: String
        let style: Style
        /// In the order of x.
        public let points: [(x: Double, y: Double)]
        let isInLegend: Bool

        /// - Parameters:
        ///   - name: What the legend and the pointer's note say.
        ///   - color: A colour of CSS, as in "var(--accent)".
        public init(
            _ name: String, color: String, _ style: Style = .line, _ points: [(x: Double, y: Double)],
            isInLegend: Bool = true
        ) {
            self.name = name
            self.color = color
            self.style = style
            self.points = points
            self.isInLegend = isInLegend
        }
    }

    private let frame: ChartFrame
    private let curves: [Curve]
    private let xName: String

    /// - Parameters:
    ///   - name: What is seen, for who can't see it.
    ///   - xName: What stands before x where the pointer is, as in "step".
    public init(
        _ name: String, x: Axis, y: Axis, _ curves: [Curve], xName: String,
        xText: @escaping (Double) -> String = { shortNumber($0) }, yText: @escaping (Double) -> String
    ) {
        frame = ChartFrame(name: name, x: x, y: y, xText: xText, yText: yText)
        self.curves = curves.filter { !$0.points.isEmpty }
        self.xName = xName
    }

    public var html: String {
        frame.html(
            curves.map(path).joined() + hits,
            legend: curves.filter(\.isInLegend).map { curve in
                """
                <span class="\(curve.style.rawValue)" style="--c:\(curve.color)">\(htmlEscaped(curve.name))</span>
                """
            })
    }

    private func path(_ curve: Curve) -> String {
        var (line, dots, isOpen) = ("", "", false)
        for point in curve.points {
            guard let left = frame.x.share(point.x), let height = frame.y.share(point.y) else {
                isOpen = false
                continue
            }
            let point = "\(ChartFrame.length(left)) \(ChartFrame.length(1 - height))"
            line += (isOpen ? "L" : "M") + point
            dots += "M\(point)h0"
            isOpen = true
        }
        // A point with nothing beside it is only seen as a dot.
        let isDotted = curve.style == .dots || curve.points.count == 1
        let color = "style=\"--c:\(curve.color)\""
        return "<path class=\"\(curve.style.rawValue)\" \(color) d=\"\(line)\"/>"
            + (isDotted ? "<path class=\"dot\" \(color) d=\"\(dots)\"/>" : "")
    }

    /// A strip around each x, which says the values there.
    private var hits: String {
        var tips: [Double: String] = [:]
        for curve in curves {
            for point in curve.points where point.y.isFinite {
                let line = "\n\(curve.name): \(frame.yText(point.y))"
                let tip = tips[point.x] ?? "\(xName) \(frame.xText(point.x))"
                tips[point.x] = tip.contains(line) ? tip : tip + line
            }
        }
        let strips = tips.keys.sorted().compactMap { x in frame.x.share(x).map { (tip: tips[x] ?? "", left: $0) } }
        return strips.indices.map { i in
            let from = i == 0 ? 0 : (strips[i - 1].left + strips[i].left) / 2
            let to = i + 1 == strips.count ? 1 : (strips[i].left + strips[i + 1].left) / 2
            return ChartFrame.hit(from: from, to: to, strips[i].tip)
        }.joined()
    }
}

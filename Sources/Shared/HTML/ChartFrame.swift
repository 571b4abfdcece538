/// The axes of a chart, and what is drawn between them.
///
/// Lines are SVG stretched to the room there is; texts are HTML, of the page's size however wide the chart is.
struct ChartFrame {
    /// What is seen, for who can't see it.
    let name: String
    let x: Axis
    let y: Axis
    let xText: (Double) -> String
    let yText: (Double) -> String

    /// Both sides of the drawing, whatever they are stretched to.
    static let side = 1000.0

    /// A share of a side, as SVG has it.
    static func length(_ share: Double) -> String { fixed(side * share, 1) }

    /// - Parameters:
    ///   - drawing: SVG, over the grid.
    ///   - legend: HTML of each entry; one alone is left out.
    func html(_ drawing: String, legend: [String] = []) -> String {
        let keys = legend.count < 2 ? "" : "<figcaption class=\"keys\">\(legend.joined())</figcaption>"
        return """
            <figure class="plot"><div class="area" role="img" aria-label="\(htmlEscaped(name))">\
            <svg viewBox="0 0 \(Int(Self.side)) \(Int(Self.side))" preserveAspectRatio="none" aria-hidden="true">\
            \(grid)\(drawing)</svg>\(labels)</div>\(keys)</figure>
            """
    }

    /// A part of the whole height that says something when the pointer is on it.
    static func hit(from: Double, to: Double, _ tip: String) -> String {
        """
        <rect class="hit" x="\(length(from))" y="0" width="\(length(to - from))" height="\(Int(side))" \
        data-tip="\(htmlEscaped(tip))"/>
        """
    }

    private var grid: String {
        y.ticks.compactMap(y.share).map { share in
            "<path class=\"grid\" d=\"M0 \(Self.length(1 - share))H\(Int(Self.side))\"/>"
        }.joined()
    }

    private var labels: String {
        y.ticks.map { label("y", "bottom", y.share($0), yText($0)) }.joined()
            + x.ticks.map { label("x", "left", x.share($0), xText($0)) }.joined()
    }

    private func label(_ axis: String, _ side: String, _ share: Double?, _ text: String) -> String {
        "<span class=\"\(axis)\" style=\"\(side):\(fixed(100 * (share ?? 0), 2))%\">\(htmlEscaped(text))</span>"
    }
}

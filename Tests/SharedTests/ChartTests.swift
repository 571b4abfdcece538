import Testing

@testable import Shared

struct ChartTests {
    @Test(arguments: [
        ([0.13, 0.87], [0, 0.2, 0.4, 0.6, 0.8, 1]), ([3.2, 9.9], [2, 4, 6, 8, 10]), ([5, 5], [5, 5.2, 5.4, 5.6]),
        ([], [0, 0.25, 0.5, 0.75, 1]), ([.nan, 1, 2], [1, 1.25, 1.5, 1.75, 2]),
    ])
    func linearAxesHaveRoundTicksAroundTheValues(values: [Double], ticks: [Double]) {
        let axis = Axis.linear(values)
        #expect(axis.ticks.map { fixed($0, 6) } == ticks.map { fixed($0, 6) })
        #expect(values.allSatisfy { !$0.isFinite || axis.range.contains($0) })
        #expect(axis.share(axis.range.lowerBound) == 0 && axis.share(axis.range.upperBound) == 1)
    }

    @Test(arguments: [
        ([0.3, 0.9], [0.2, 0.5, 1]), ([1, 1], [1, 2]), ([0.002, 700], [0.001, 0.01, 0.1, 1, 10, 100, 1000]),
        ([0, -1, .infinity, 4, 5], [2, 5]),
    ])
    func logarithmicAxesHavePowersOfTen(values: [Double], ticks: [Double]) {
        let axis = Axis.logarithmic(values)
        #expect(axis.ticks.map { fixed($0, 6) } == ticks.map { fixed($0, 6) })
        #expect(axis.share(0) == nil && axis.share(.nan) == nil)
    }

    @Test func stepsBeginAtZeroAndEndWithTheLast() {
        #expect(Axis.steps(upTo: 2000).ticks == [0, 500, 1000, 1500, 2000] && Axis.steps(upTo: 7).range == 0...7)
        #expect(Axis.steps(upTo: 1).ticks == [0, 1])
    }

    @Test func aCurveHasGapsWhereNothingWasMeasured() {
        let curve = LineChart.Curve("a<b", color: "red", .line, [(0, 0), (1, .nan), (2, 1), (3, 1)])
        let html = LineChart(
            "x", x: .steps(upTo: 4), y: Axis(0...1, ticks: [0, 1]), [curve], xName: "step", yText: { fixed($0, 1) }
        ).html
        #expect(html.contains("d=\"M0.0 1000.0M500.0 0.0L750.0 0.0\""))
        #expect(html.contains("data-tip=\"step 2\na&lt;b: 1.0\"") && !html.contains("nan") && !html.contains("keys"))
    }

    @Test func everyBinHasABarOfItsHeight() {
        let html = BarChart("x", bounds: [0, 1, 2], counts: [0, 8], label: { fixed($0, 0) }).html
        #expect(html.contains("1 to 2: 8") && html.contains("height=\"1000.0\"/>") && html.contains("height=\"0.0\"/>"))
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// `Trainer report`, as a user runs it.
struct TrainingReportTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// A run of some steps, evaluated after each tenth of them.
    private func run(_ name: String, steps: Int, loss: Double, rate: String = "0.0001") throws -> String {
        let directory = scratch.file(name)
        let file = try MetricsFile(directory: directory, after: 0)
        try file.append(
            MetricsRecord(
                kind: .run, step: 0,
                values: [
                    ("total steps", .int(steps)), ("command", .string("Trainer train --x '<&>'")),
                    ("options", .object([("--learning-rate", .string(rate)), ("--seed", .string("0"))])),
                ]))
        for step in 1...steps {
            let now = loss / Double(step).squareRoot()
            let draft: [(String, JSONText)] = [
                ("losses", .numbers([now, now * 1.2])), ("accuracies", .numbers([0.4, 0.2])),
                ("conditional_accuracies", .numbers([0.4, 0.3])), ("acceptance_rates", .numbers([0.5, 0.3])),
                ("simulated_acceptance_length", .number(1.5 + Double(step) / 100)),
            ]
            try file.append(
                MetricsRecord(
                    kind: .train, step: step,
                    values: draft + [
                        ("epoch", .number(Double(step) / 10)), ("steps", .int(1)), ("learning_rate", .number(1e-4)),
                        ("grad_norm", .number(step == 3 ? .nan : 2)), ("clipped_steps", .int(1)),
                        ("tokens", .int(100)), ("seconds", .number(2)), ("tokens_per_second", .number(50)),
                        ("skipped_steps", .int(step == 3 ? 1 : 0)), ("data_wait_share", .number(step == 1 ? 0.4 : 0)),
                        ("target_cache_hits", .int(step > 200 ? 3 : 0)),
                        ("target_cache_misses", .int(step > 200 ? 1 : 4)),
                    ]))
            if step.isMultiple(of: max(1, steps / 10)) {
                try file.append(MetricsRecord(kind: .heldOut, step: step, values: draft))
            }
        }
        return directory
    }

    private func report(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
        try ProgramRun("Trainer", ["report"] + arguments).finish()
    }

    @Test func summarisesARunAndWritesAPageThatNeedsNothingElse() throws {
        let page = scratch.file("page.html")
        let end = try report([try run("one", steps: 400, loss: 9), "--html", page])
        try #require(end.code == 0, "\(end.errors)")
        #expect(end.output.contains("steps                          400 of 400\n"))
        #expect(end.output.contains("acceptance length, simulated   5.500 at step 400\n"))
        #expect(end.output.contains("tokens/s                       50\n"))
        // Of the whole run, not of its last line.
        #expect(end.output.contains("skipped steps                  1\n"))
        #expect(end.output.contains("waiting for data               0.10%\n"))
        #expect(end.output.contains("from the target cache          600 of \(grouped(1600)) samples, 37.5%\n"))
        let text = try String(contentsOfFile: page, encoding: .utf8)
        expectPage(
            text,
            headings: ["Acceptance length", "Loss by position", "Conditional accuracy by position", "Gradient norm"])
        #expect(text.contains("Trainer train --x '&lt;&amp;&gt;'"))
        // A curve of 400 points is drawn with 100 means, so no page is larger than a picture.
        #expect(text.utf8.count < 400_000)
    }

    @Test func comparesRunsAndShowsWhatDiffersBetweenTheirSettings() throws {
        let page = scratch.file("page.html")
        let runs = [try run("a", steps: 20, loss: 9), try run("b", steps: 30, loss: 5, rate: "0.0003")]
        let end = try report(runs + ["--html", page])
        try #require(end.code == 0, "\(end.errors)")
        #expect(end.output.hasPrefix("                               a  "))
        let text = try String(contentsOfFile: page, encoding: .utf8)
        #expect(text.contains("<tr class=\"differs\"><th>--learning-rate</th><td><code>0.0001</code></td>"))
        #expect(!text.contains("<tr class=\"differs\"><th>--seed</th>") && text.contains("<th>--seed</th>"))
        #expect(text.contains("<td class=\"best\">1.800 at step 30</td>"))
    }

    @Test func aRunThatIsBeingWrittenCanBeRead() throws {
        let directory = try run("now", steps: 3, loss: 9)
        try appendToFile("\(directory)/metrics.jsonl", Array(#"{"step":4,"los"#.utf8))
        #expect(try report([directory]).output.contains("3 of 3"))
    }

    @Test(
        arguments: [
            (nil, "metrics.jsonl: can't open it"), ("", "has no line of a step yet"),
            ("{\"step\":1}\n{]\n", "metrics.jsonl:2: "),
            ("[1]\n", "metrics.jsonl:1: is no line of metrics"),
        ] as [(String?, String)])
    func saysWhatIsWrongWithARun(contents: String?, message: String) throws {
        let directory = scratch.file("bad")
        try makeDirectory(directory)
        if let contents { _ = try scratch.write("bad/metrics.jsonl", contents) }
        let end = try report([directory])
        #expect(end.code == 1 && end.errors.contains(message), "\(end.errors)")
    }

    @Test func runsOfOneNameAreToldApartByTheirPaths() throws {
        let runs = [try run("x/draft", steps: 2, loss: 9), try run("y/draft", steps: 2, loss: 9)]
        let output = try report(runs).output
        #expect(runs.allSatisfy { output.contains($0) })
    }
}

import Shared
import TestSupport
import Testing

@testable import Trainer

/// The teacher and the loss of a whole head, against torch's in float64.
struct DistillationHeadTests {
    private let workspace = Workspace()

    @Test func lossAndGradientsOfAWholeHeadEqualTorch() throws {
        let g = LayerGolden(
            file: try SafetensorsFile(
                Fixtures.folder.appending(path: "layers/distillation_head.safetensors").path),
            workspace: workspace)
        let draftToTarget = try g.integers("draft_to_target").map { Int32($0) }
        let target = FixedTarget(head: try g.matrix("target_weight"))
        let (x, weight, hidden) = (try g.matrix("x"), try g.matrix("weight"), try g.matrix("target_x"))
        let distributions = CompactTeacher(target, draftToTarget: draftToTarget).distributions(
            hidden, rows: [(0..<Int32(hidden.rows)).map { $0 }], in: workspace)

        // A row counts if the draft knows the target's likeliest token.
        let best = try g.integers("target_best")
        let known = best.map { id in draftToTarget.firstIndex(of: Int32(id)).map { Int32($0) } ?? -1 }
        #expect(distributions.argmax == known)
        let weights = zip(try g.row("row_weights").elements, known).map { $1 < 0 ? 0 : $0 }
        #expect(weights == (try g.row("row_on").elements))

        let logits = workspace.matrix(rows: x.rows, columns: weight.rows)
        multiply(x, transposed: weight, into: logits)
        let rows = (0..<x.rows).map { row in
            DistillationLoss.forwardBackward(
                logits.row(row), logits.columns,
                .init(
                    probabilities: distributions.probabilities.row(row), coverage: distributions.coverage[row]),
                weight: weights[row], objective: .crossEntropy)
        }
        #expect(rows.map { Int($0.argmax) } == (try g.integers("draft_best")))
        expectEachClose(rows.map(\.loss), try g.row("row_loss").elements, "row_loss")
        expectEachClose(rows.map(\.acceptance), try g.row("acceptance").elements, "acceptance")
        let loss = zip(rows, weights).reduce(Float(0)) { $0 + $1.0.loss * $1.1 }
        expectEachClose([loss], try g.row("loss").elements, "loss")

        let dX = workspace.matrix(rows: x.rows, columns: x.columns)
        multiply(logits, weight, into: dX)
        expectEachClose(dX.elements, try g.matrix("dx").elements, "dx")
        let dWeight = workspace.matrix(rows: weight.rows, columns: weight.columns)
        multiply(transposed: logits, x, into: dWeight)
        expectEachClose(dWeight.elements, try g.matrix("dweight").elements, "dweight")
    }

    /// Each element within 1e-5 of itself and of what is typical.
    private func expectEachClose(
        _ found: [Float], _ expected: [Float], _ name: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(found.count == expected.count, sourceLocation: sourceLocation)
        let typical = (expected.reduce(0) { $0 + $1 * $1 } / Float(max(1, expected.count))).squareRoot()
        let worst = zip(found, expected).map { abs($0 - $1) / (abs($1) + typical) }.max() ?? .infinity
        #expect(worst < 1e-5, "\(name): an element is off by \(worst)", sourceLocation: sourceLocation)
    }
}

import Foundation
import Testing

@testable import Trainer

/// Each objective of a row: its value by its formula in double precision, its gradient by central differences.
struct DistillationLossTests {
    private static let count = 37

    /// Logits, the target's probabilities renormalised, and the share of them that the draft vocabulary has.
    private static func row(_ seed: UInt64) -> (z: [Double], p: [Double], coverage: Double) {
        var random = RandomNumbers(seed: seed)
        let z = (0..<count).map { _ in Double(2 * random.uniform()) }
        let target = softmax((0..<count).map { _ in Double(3 * random.uniform()) })
        return (z, target, 0.7)
    }

    private static func softmax(_ z: [Double]) -> [Double] {
        let e = z.map { exp($0) }
        let sum = e.reduce(0, +)
        return e.map { $0 / sum }
    }

    private static func value(_ z: [Double], _ p: [Double], _ coverage: Double, _ objective: RowObjective) -> Double {
        let q = softmax(z)
        let crossEntropy = zip(p, q).reduce(0) { $0 - $1.0 * log($1.1) }
        let acceptance = zip(p, q).reduce(0) { $0 + min(coverage * $1.0, $1.1) }
        switch objective {
        case .crossEntropy: return crossEntropy
        case .mixed(let weight, let rejection):
            return Double(weight) * crossEntropy + Double(rejection) * (1 - acceptance)
        case .logAcceptance(let scale): return -Double(scale) * log(acceptance)
        }
    }

    @Test(
        arguments: [.crossEntropy, .mixed(crossEntropy: 0.3, rejection: 0.9), .logAcceptance(scale: 1.5)]
            as [RowObjective], [1, 2, 3] as [UInt64])
    func valueAndGradientAreTheFormulas(objective: RowObjective, seed: UInt64) {
        let (z, p, coverage) = Self.row(seed)
        let workspace = Workspace()
        let (logits, target) = (
            workspace.matrix(rows: 1, columns: Self.count), workspace.matrix(rows: 1, columns: Self.count)
        )
        for i in z.indices {
            logits[0, i] = Float(z[i])
            target[0, i] = Float(p[i])
        }
        let found = DistillationLoss.forwardBackward(
            logits.start, Self.count, .init(probabilities: target.start, coverage: Float(coverage)), weight: 2,
            objective: objective)
        let value = { (z: [Double]) in Self.value(z, p, coverage, objective) }
        #expect(abs(Double(found.objective) - value(z)) < 1e-5)
        #expect(abs(Double(found.loss) - Self.value(z, p, coverage, .crossEntropy)) < 1e-5)
        let gradient = z.indices.map { i in
            var (up, down) = (z, z)
            up[i] += 1e-6
            down[i] -= 1e-6
            return Float(2 * (value(up) - value(down)) / 2e-6)
        }
        expectClose(logits.elements, gradient, tolerance: 1e-4, "\(objective)")
    }

    @Test func aRowOfWhichNothingIsAcceptedAddsNothingToTheLogarithm() {
        let workspace = Workspace()
        let (logits, target) = (workspace.zeros(rows: 1, columns: 16), workspace.zeros(rows: 1, columns: 16))
        let found = DistillationLoss.forwardBackward(
            logits.start, 16, .init(probabilities: target.start, coverage: 0), weight: 1,
            objective: .logAcceptance(scale: 1))
        #expect(found.objective == 0 && logits.elements.allSatisfy { $0 == 0 })
    }
}

import Testing

@testable import Trainer

/// Compares gradients with central differences along random directions.
///
/// - Parameters:
///   - checked: Names, values and what the backward pass says of them.
///   - loss: The loss at the values as they stand, summed in double precision.
func expectGradients(
    _ checked: [(name: String, values: Matrix, gradient: Matrix)], directions: Int = 4, step: Float = 1e-2,
    tolerance: Double = 5e-3, seed: UInt64 = 1, sourceLocation: SourceLocation = #_sourceLocation,
    loss: () throws -> Double
) rethrows {
    var random = RandomNumbers(seed: seed)
    let workspace = Workspace()
    for (name, values, gradient) in checked {
        for _ in 0..<directions {
            try workspace.scope {
                let direction = workspace.matrix(rows: values.rows, columns: values.columns)
                random.fill(direction)
                var analytic = 0.0
                gradient.forEach { analytic += Double(gradient[$0, $1]) * Double(direction[$0, $1]) }
                let saved = values.elements
                let shift = { (factor: Float) in
                    values.forEach {
                        values[$0, $1] = saved[$0 * values.columns + $1] + factor * step * direction[$0, $1]
                    }
                }
                let losses = try [1, -1, 2, -2].map { (factor: Float) in
                    shift(factor)
                    return try loss()
                }
                shift(0)
                // Four points: the error is of the fourth order in the step.
                let numeric = (8 * (losses[0] - losses[1]) - (losses[2] - losses[3])) / Double(12 * step)
                let scale = max(abs(numeric), abs(analytic), 0.5)
                #expect(
                    abs(numeric - analytic) <= tolerance * scale, "\(name): \(numeric) by differences, \(analytic)",
                    sourceLocation: sourceLocation)
            }
        }
    }
}

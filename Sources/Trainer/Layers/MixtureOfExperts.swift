import Glibc

/// A frozen mixture of experts: each row goes to the few experts that its router scores highest.
///
///     y = Σ_e weight_e expert_e(x),  e among the k largest of the router's logits x Wᵀ + b
///
/// Every rank routes all rows, and then computes its part of each expert, or all of some experts. The parts of all
/// ranks add up to the result.
struct MixtureOfExperts {
    /// What the router's logits become.
    enum Weighting: Equatable, Sendable {
        /// Softmax over all experts; over the chosen ones if renormalised (Qwen3-MoE, gpt-oss).
        case softmax(renormalized: Bool)
        /// The logistic function of each; it scales the expert's input instead of its output (Llama 4).
        case sigmoidOfInput
    }

    /// To a logit for each expert, all of them on every rank.
    let router: ColumnParallelLinear
    let expertsPerToken: Int
    let weighting: Weighting
    /// This rank's experts, by their number.
    let experts: [Int: GatedMLP]
    /// An expert that every row goes to besides.
    let shared: GatedMLP?

    /// A row that an expert gets, and how much it counts.
    private struct Assignment {
        let row: Int32
        let weight: Float
    }

    /// y += this rank's part of the result.
    func addPart(_ x: Matrix, to y: Matrix, in workspace: Workspace) {
        shared?.addPart(x, to: y, in: workspace)
        let assignments = route(x, in: workspace)
        for (number, expert) in experts.sorted(by: { $0.key < $1.key }) where !assignments[number].isEmpty {
            run(expert, assignments[number], x, y, in: workspace)
        }
    }

    private func run(
        _ expert: GatedMLP, _ assignments: [Assignment], _ x: Matrix, _ y: Matrix, in workspace: Workspace
    ) {
        workspace.scope {
            let input = workspace.matrix(rows: assignments.count, columns: x.columns)
            input.gather(assignments.map(\.row), from: x)
            let scalesInput = weighting == .sigmoidOfInput
            if scalesInput {
                for (i, assignment) in assignments.enumerated() { input.scale(row: i, by: assignment.weight) }
            }
            let output = workspace.zeros(rows: assignments.count, columns: y.columns)
            expert.addPart(input, to: output, in: workspace)
            y.compute.rows(assignments.count, of: y.columns) { range in
                for i in range {
                    let weight = scalesInput ? 1 : assignments[i].weight
                    add(weight, output.row(i), to: y.row(Int(assignments[i].row)), y.columns)
                }
            }
        }
    }

    /// For each expert, the rows that it gets, in order.
    private func route(_ x: Matrix, in workspace: Workspace) -> [[Assignment]] {
        var assignments = [[Assignment]](repeating: [], count: router.weight.rows)
        workspace.scope {
            let logits = workspace.matrix(rows: x.rows, columns: router.weight.rows)
            router.forward(x, into: logits)
            for row in 0..<x.rows {
                let scores = UnsafeBufferPointer(start: logits.row(row), count: router.weight.rows)
                let chosen = largest(scores)
                for (expert, weight) in zip(chosen, weights(of: chosen, scores)) {
                    assignments[expert].append(Assignment(row: Int32(row), weight: weight))
                }
            }
        }
        return assignments
    }

    /// The numbers of the experts with the largest scores, the largest first.
    private func largest(_ scores: UnsafeBufferPointer<Float>) -> [Int] {
        var chosen: [Int] = []
        for expert in scores.indices {
            let place = chosen.firstIndex { scores[$0] < scores[expert] } ?? chosen.count
            guard place < expertsPerToken else { continue }
            if chosen.count == expertsPerToken { chosen.removeLast() }
            chosen.insert(expert, at: place)
        }
        return chosen
    }

    private func weights(of chosen: [Int], _ scores: UnsafeBufferPointer<Float>) -> [Float] {
        switch weighting {
        case .sigmoidOfInput: return chosen.map { 1 / (1 + expf(-scores[$0])) }
        case .softmax(let renormalized):
            let shift = scores[chosen[0]]
            let exponentials = chosen.map { expf(scores[$0] - shift) }
            let sum = renormalized ? exponentials.reduce(0, +) : scores.reduce(0) { $0 + expf($1 - shift) }
            return exponentials.map { $0 / sum }
        }
    }
}

extension Matrix {
    /// Multiplies a row by a factor.
    func scale(row: Int, by factor: Float) {
        let x = self.row(row)
        for i in Swift.stride(from: 0, to: columns, by: 16) { x.store(x.load(i, of: columns) * factor, i, of: columns) }
    }
}

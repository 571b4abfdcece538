import Glibc

/// A frozen mixture of experts: each row goes to the few experts that its router scores highest.
///
///     y = Σ_e weight_e expert_e(x),  e among the k largest of the router's logits x Wᵀ + b
///
/// Every rank routes all rows, and then computes its part of each expert, or all of some experts. The parts of all
/// ranks add up to the result. Threads share the tiles of all experts' products (`ExpertGroup`).
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

    /// y += this rank's part of the result.
    func addPart(_ x: Matrix, to y: Matrix, in workspace: Workspace) {
        shared?.addPart(x, to: y, in: workspace)
        let held = experts.keys.sorted()
        let routes = ExpertRoutes(route(x, in: workspace), rows: x.rows, experts: held, of: router.weight.rows)
        let total = routes.starts[held.count]
        let each = total / Self.groups(total) + 1
        var first = 0
        while first < held.count {
            // About as many rows each time.
            var last = first + 1
            while last < held.count, routes.starts[last] / each == routes.starts[first] / each { last += 1 }
            let group = ExpertGroup(
                mixture: self, numbers: Array(held[first..<last]), starts: Array(routes.starts[first...last]))
            if group.slots.count > 0 { group.addPart(x, routes, to: y, in: workspace) }
            first = last
        }
    }

    /// Rows of experts that are worked on at a time, about: what bounds memory.
    private static let rowsTogether = 8192

    /// How many times experts of so many rows together are worked on.
    private static func groups(_ rows: Int) -> Int { max(1, (rows + rowsTogether / 2) / rowsTogether) }

    /// Floats that `addPart` takes of its workspace for that many rows, beside a shared expert's.
    func floats(rows: Int) -> Int {
        guard let expert = experts.values.first else { return rows * router.weight.rows }
        let each = Int((Double(rows * expertsPerToken) / Double(max(1, router.weight.rows))).rounded(.up))
        let all = each * experts.count
        let groups = Self.groups(all)
        let together = groups == 1 ? all : all / groups + each / 2
        let (hidden, features) = (router.weight.columns, expert.down.weight.columns)
        var floats = together * (hidden + 2 * features)
        if case .bfloat16 = expert.down.weight {
            floats += Operand.floats(rows: together, columns: hidden, .bfloat16)
            floats += Operand.floats(rows: together, columns: features, .bfloat16)
        }
        return max(rows * router.weight.rows, floats)
    }

    /// For each row the experts that it goes to, the largest score first, and how much each counts.
    private func route(_ x: Matrix, in workspace: Workspace) -> ExpertChoices {
        let (count, perToken) = (router.weight.rows, min(expertsPerToken, router.weight.rows))
        var choices = ExpertChoices(rows: x.rows, perToken: perToken)
        workspace.scope {
            let logits = workspace.matrix(rows: x.rows, columns: count)
            router.forward(x, into: logits)
            choices.withPointers { experts, weights in
                nonisolated(unsafe) let (experts, weights) = (experts, weights)
                x.compute.ranges(x.rows, atLeast: 8) { range in
                    for row in range {
                        let scores = UnsafeBufferPointer(start: logits.row(row), count: count)
                        choose(scores, perToken, into: experts + row * perToken, weights + row * perToken)
                    }
                }
            }
        }
        return choices
    }

    /// The experts with the largest scores, the largest first, of equals the first; and their weights.
    private func choose(
        _ scores: UnsafeBufferPointer<Float>, _ perToken: Int, into chosen: UnsafeMutablePointer<Int32>,
        _ weights: UnsafeMutablePointer<Float>
    ) {
        var count = 0
        for expert in scores.indices {
            var place = count
            while place > 0, scores[Int(chosen[place - 1])] < scores[expert] { place -= 1 }
            guard place < perToken else { continue }
            count = min(count + 1, perToken)
            for i in stride(from: count - 1, to: place, by: -1) { chosen[i] = chosen[i - 1] }
            chosen[place] = Int32(expert)
        }
        switch weighting {
        case .sigmoidOfInput: for i in 0..<perToken { weights[i] = 1 / (1 + expf(-scores[Int(chosen[i])])) }
        case .softmax(let renormalized):
            let shift = scores[Int(chosen[0])]
            for i in 0..<perToken { weights[i] = expf(scores[Int(chosen[i])] - shift) }
            let sum =
                renormalized
                ? (0..<perToken).reduce(0) { $0 + weights[$1] } : scores.reduce(0) { $0 + expf($1 - shift) }
            for i in 0..<perToken { weights[i] /= sum }
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

/// A frozen mixture of experts: each row goes to the few experts that its router scores highest.
///
///     y = Σ_e weight_e expert_e(x),  e among the k largest of the router's logits x Wᵀ + b
///
/// Every rank routes all rows, and then computes its part of each expert, or all of some experts. The parts of all
/// ranks add up to the result. Threads share the tiles of all experts' products (`ExpertGroup`).
struct MixtureOfExperts {
    let routing: ExpertRouting
    /// This rank's experts, by their number.
    let experts: [Int: GatedMLP]
    /// An expert that every row goes to besides.
    let shared: GatedMLP?
    /// What the shared expert's output is multiplied by: the logistic function of a map to one number; nil for 1.
    var sharedGate: ColumnParallelLinear?

    /// y += this rank's part of the result.
    ///
    /// - Parameter routed: What the router sees, if it isn't x.
    func addPart(_ x: Matrix, routedBy routed: Matrix? = nil, to y: Matrix, in workspace: Workspace) {
        if let shared { addShared(shared, x, to: y, in: workspace) }
        let held = experts.keys.sorted()
        let routes = ExpertRoutes(
            routing.route(routed ?? x, in: workspace), rows: x.rows, experts: held, of: routing.expertCount)
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

    private func addShared(_ shared: GatedMLP, _ x: Matrix, to y: Matrix, in workspace: Workspace) {
        guard let sharedGate else { return shared.addPart(x, to: y, in: workspace) }
        workspace.scope {
            let gates = workspace.matrix(rows: x.rows, columns: 1)
            sharedGate.forward(x, into: gates)
            let output = workspace.zeros(rows: x.rows, columns: y.columns)
            shared.addPart(x, to: output, in: workspace)
            y.compute.rows(x.rows, of: y.columns) { range in
                for row in range { add(sigmoid(gates[row, 0]), output.row(row), to: y.row(row), y.columns) }
            }
        }
    }

    /// Rows of experts that are worked on at a time, about: what bounds memory.
    private static let rowsTogether = 8192

    /// Number of rounds in which experts that have this many rows together are computed.
    private static func groups(_ rows: Int) -> Int { max(1, (rows + rowsTogether / 2) / rowsTogether) }

    /// Floats that `addPart` takes of its workspace for that many rows, beside a shared expert's.
    func floats(rows: Int) -> Int {
        let count = routing.expertCount
        guard let expert = experts.values.first else { return rows * count }
        let each = Int((Double(rows * routing.expertsPerToken) / Double(max(1, count))).rounded(.up))
        let all = each * experts.count
        let groups = Self.groups(all)
        let together = groups == 1 ? all : all / groups + each / 2
        let (hidden, features) = (routing.router.weight.columns, expert.down.weight.columns)
        var floats = together * (hidden + 2 * features)
        switch expert.down.weight {
        case .bfloat16, .blocked:
            let rows = BlockProducts.paddedRows(together)
            floats += Operand.floats(rows: rows, columns: hidden, .bfloat16)
            floats += Operand.floats(rows: rows, columns: features, .bfloat16)
        default: break
        }
        return max(rows * count, floats)
    }
}

extension Matrix {
    /// Multiplies a row by a factor.
    func scale(row: Int, by factor: Float) {
        Trainer.scale(self.row(row), by: factor, columns)
    }
}

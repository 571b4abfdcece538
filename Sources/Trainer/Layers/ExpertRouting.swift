import Glibc

/// Which experts each row goes to, and how much each counts.
struct ExpertRouting {
    /// What the router's logits become.
    enum Weighting: Equatable, Sendable {
        /// Softmax over all experts; over the chosen ones if renormalised (Qwen3-MoE, gpt-oss).
        case softmax(renormalized: Bool)
        /// The logistic function of each; it scales the expert's input instead of its output (Llama 4).
        case sigmoidOfInput
        /// The logistic function of each, chosen after a correction has been added (DeepSeek-V3).
        case sigmoid(Sigmoid)

        struct Sigmoid: Equatable, Sendable {
            /// Added to the chosen weights' sum before they are divided by it; nil if they aren't.
            var epsilon: Float?
            /// What weights are multiplied by in the end.
            var scale: Float
            /// Neighbouring experts are groups, of which only those with the largest two best experts are chosen from.
            var groups = 1
            var chosenGroups = 1
        }
    }

    /// To a logit for each expert, all of them on every rank.
    let router: ColumnParallelLinear
    let expertsPerToken: Int
    let weighting: Weighting
    /// [1, experts]: added to what experts are chosen by, and to no weight.
    var correction: Matrix?
    /// [1, experts]: what an expert's weight is multiplied by in the end (Gemma 4).
    var expertScales: Matrix?

    var expertCount: Int { router.weight.rows }

    /// For each row the experts that it goes to, the most preferred first, and how much each counts.
    func route(_ x: Matrix, in workspace: Workspace) -> ExpertChoices {
        let (count, perToken) = (expertCount, min(expertsPerToken, expertCount))
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
        switch weighting {
        case .sigmoidOfInput:
            largest(perToken, of: scores.indices, into: chosen) { scores[$0] }
            for i in 0..<perToken { weights[i] = sigmoid(scores[Int(chosen[i])]) }
        case .softmax(let renormalized):
            largest(perToken, of: scores.indices, into: chosen) { scores[$0] }
            let shift = scores[Int(chosen[0])]
            for i in 0..<perToken { weights[i] = expf(scores[Int(chosen[i])] - shift) }
            let sum =
                renormalized
                ? (0..<perToken).reduce(0) { $0 + weights[$1] } : scores.reduce(0) { $0 + expf($1 - shift) }
            for i in 0..<perToken { weights[i] /= sum }
        case .sigmoid(let rule):
            let values = scores.map(sigmoid)
            let preferences = values.indices.map { expert in values[expert] + (correction?[0, expert] ?? 0) }
            largest(perToken, of: candidates(preferences, rule), into: chosen) { preferences[$0] }
            let sum =
                rule.epsilon.map { epsilon in (0..<perToken).reduce(epsilon) { $0 + values[Int(chosen[$1])] } } ?? 1
            for i in 0..<perToken { weights[i] = values[Int(chosen[i])] / sum * rule.scale }
        }
        if let expertScales { for i in 0..<perToken { weights[i] *= expertScales[0, Int(chosen[i])] } }
    }

    /// The experts that may be chosen: all, or those of the groups whose two best come to most.
    private func candidates(_ preferences: [Float], _ rule: Weighting.Sigmoid) -> [Int] {
        guard rule.groups > 1 else { return Array(preferences.indices) }
        let size = preferences.count / rule.groups
        let best = UnsafeMutablePointer<Int32>.allocate(capacity: max(2, rule.chosenGroups))
        defer { best.deallocate() }
        let sums = (0..<rule.groups).map { group in
            largest(2, of: group * size..<(group + 1) * size, into: best) { preferences[$0] }
            return preferences[Int(best[0])] + preferences[Int(best[1])]
        }
        largest(rule.chosenGroups, of: sums.indices, into: best) { sums[$0] }
        let groups = (0..<rule.chosenGroups).map { Int(best[$0]) }.sorted()
        return groups.flatMap { Array($0 * size..<($0 + 1) * size) }
    }

    /// Writes the indices of the largest scores, the largest first, of equals the first.
    @inline(__always) private func largest(
        _ most: Int, of numbers: some Sequence<Int>, into chosen: UnsafeMutablePointer<Int32>, _ score: (Int) -> Float
    ) {
        var count = 0
        for number in numbers {
            var slot = count
            while slot > 0, score(Int(chosen[slot - 1])) < score(number) { slot -= 1 }
            guard slot < most else { continue }
            count = min(count + 1, most)
            for i in stride(from: count - 1, to: slot, by: -1) { chosen[i] = chosen[i - 1] }
            chosen[slot] = Int32(number)
        }
    }
}

/// For each row of a batch the experts that it goes to, the largest score first, and how much each counts.
struct ExpertChoices {
    let perToken: Int
    /// [rows, perToken] each.
    private(set) var experts: [Int32]
    private(set) var weights: [Float]

    init(rows: Int, perToken: Int) {
        self.perToken = perToken
        experts = [Int32](repeating: 0, count: rows * perToken)
        weights = [Float](repeating: 0, count: rows * perToken)
    }

    /// Writes both.
    mutating func withPointers(_ body: (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Float>) -> Void) {
        experts.withUnsafeMutableBufferPointer { experts in
            weights.withUnsafeMutableBufferPointer { weights in
                guard let experts = experts.baseAddress, let weights = weights.baseAddress else { return }
                body(experts, weights)
            }
        }
    }
}

/// The rows that each of a rank's experts gets: slots, one for each row of each expert, by expert and then by row.
struct ExpertRoutes {
    /// Where each expert's slots begin, and at the end their number.
    let starts: [Int]
    /// The row of each slot, and how much it counts.
    private(set) var rows: [Int32]
    private(set) var weights: [Float]
    /// The slots of each row, ascending: those from `slotStarts[row]` on.
    private(set) var slots: [Int32]
    private(set) var slotStarts: [Int32]

    /// - Parameters:
    ///   - experts: Those of the rank, ascending.
    ///   - count: How many there are in all.
    init(_ choices: ExpertChoices, rows rowCount: Int, experts: [Int], of count: Int) {
        var slot = [Int](repeating: -1, count: count)
        for (index, expert) in experts.enumerated() { slot[expert] = index }
        var counts = [Int](repeating: 0, count: experts.count)
        for expert in choices.experts where slot[Int(expert)] >= 0 { counts[slot[Int(expert)]] += 1 }
        starts = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        var next = starts
        rows = [Int32](repeating: 0, count: starts[experts.count])
        weights = [Float](repeating: 0, count: starts[experts.count])
        slotStarts = [0]
        slotStarts.reserveCapacity(rowCount + 1)
        slots = []
        slots.reserveCapacity(rows.count)
        for row in 0..<rowCount {
            let first = slots.count
            for choice in row * choices.perToken..<(row + 1) * choices.perToken {
                let expert = slot[Int(choices.experts[choice])]
                guard expert >= 0 else { continue }
                let slot = next[expert]
                next[expert] += 1
                rows[slot] = Int32(row)
                weights[slot] = choices.weights[choice]
                var index = slots.count
                slots.append(Int32(slot))
                while index > first, slots[index - 1] > Int32(slot) {
                    slots.swapAt(index, index - 1)
                    index -= 1
                }
            }
            slotStarts.append(Int32(slots.count))
        }
    }
}

/// What learning a micro batch takes of a draft: known before anything is computed.
struct DraftWorkload {
    /// The most elements of activations that `learn` has at a time, its lesson left out.
    var elements = 0
    /// Elements of the largest operands of a product that are rounded for it alone: an input, and a gradient.
    var roundedElements = (input: 0, gradient: 0)
    /// Rows of the target's logits that are learnt from.
    var targetRows = 0
    /// FLOP of the forward and the backward pass, what is recomputed left out.
    var operations = 0.0
    /// The largest of the products, in the order in which equal ones are preferred.
    var products: [ProductSize] = []
}

/// The rank that a workload is planned for.
struct PlannedRank {
    /// Ranks that share the target, each with as many rows.
    let tpSize: Int
    let targetHiddenSize: Int
    /// Tokens whose logits this rank makes.
    let vocabularyCount: Int
    let compute: Compute
}

/// The product of a linear map: x is [rows, inputs] and W is [outputs, inputs].
struct ProductSize: Equatable {
    let rows: Int
    let inputs: Int
    let outputs: Int

    /// FLOP of it, and of the gradients of W and of x each.
    var operations: Double { 2 * Double(rows) * Double(inputs) * Double(outputs) }
}

/// What the mathematics of learning a sequence needs and nobody can leave out.
struct NecessaryWork {
    /// Rows of the target's layers: all up to the last that the draft sees or learns from.
    let targetRows: Int
    /// The target's rows whose logits are learnt.
    let logits: [Int]
    /// FLOP of the draft but for its head.
    let operations: Double
}

/// Drafts that are run in place of one that takes long: the same one, or forms of it with less to do in each sequence.
struct DraftTrial {
    /// The last of them takes the longest.
    let drafts: [any DraftModel]
    /// The seconds of the draft itself, by those of each.
    let seconds: ([Double]) -> Double
}

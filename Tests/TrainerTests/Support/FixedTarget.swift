@testable import Trainer

/// A target that is only an embedding and a head of random numbers: what the draft's tests need of one.
struct FixedTarget: DistributedTargetModel {
    let configuration: TargetShape
    let communicator: any Communicator = AbsentRanks()
    let table: Matrix
    let head: Matrix

    init(vocabSize: Int, hiddenSize: Int, in workspace: Workspace, seed: UInt64 = 7) {
        var random = RandomNumbers(seed: seed)
        configuration = TargetShape(hiddenSize: hiddenSize, vocabSize: vocabSize, numHiddenLayers: 0)
        table = workspace.matrix(rows: vocabSize, columns: hiddenSize)
        head = workspace.matrix(rows: vocabSize, columns: hiddenSize)
        random.fill(table)
        random.fill(head)
    }

    /// A target of which nothing but the head is used.
    init(head: Matrix) {
        configuration = TargetShape(hiddenSize: head.columns, vocabSize: head.rows, numHiddenLayers: 0)
        table = head
        self.head = head
    }

    var vocabulary: Range<Int> { 0..<configuration.vocabSize }

    func embed(_ ids: [Int32], into embedding: Matrix) { embedding.gather(ids, from: table) }

    func forward(
        _ x: Matrix, _ rows: DecoderRows, in workspace: Workspace,
        capture: (_ layer: Int, _ input: Matrix) throws -> Void
    ) rethrows {
        try capture(0, x)
    }

    func logits(_ hidden: Matrix, into logits: Matrix) { multiply(hidden, transposed: head, into: logits) }

    func headRows(_ ids: [Int32], into rows: Matrix) { rows.gather(ids, from: head) }
    func headScale(into scale: Matrix) { for column in 0..<scale.columns { scale[0, column] = 1 + Float(column % 3) } }
}

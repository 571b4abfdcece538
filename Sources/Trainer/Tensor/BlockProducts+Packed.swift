import Shared

/// Products of many rows of activations with a packed weight: a thread unpacks some rows of it into blocks, which stay in its
/// cache while they are multiplied.
extension BlockProducts {
    /// Most elements that a thread unpacks at a time, unless one block has more.
    private static let mostUnpacked = 1 << 20

    /// Whether products with a weight are faster so: a block has whole thirty-twos of columns.
    func support(_ weight: PackedMatrix) -> Bool {
        weight.columns.isMultiple(of: 32) && support(depth: weight.columns)
    }

    /// y = x Wᵀ, or y += x Wᵀ.
    ///
    /// x: [rows, in features], in memory for `paddedRows`, with nothing between rows.
    func multiply(_ x: BFloat16Matrix, _ weight: PackedMatrix, into y: Matrix, accumulate: Bool) {
        let compute = y.compute
        let threads = compute.hasFixedCuts ? TileGrid.fixedThreads : compute.threads
        let parts = cut(y.rows, y.columns, threads: threads)
        // All rows with what was unpacked once, if there is enough of it for all threads.
        let groups = parts.columns.count >= 2 * compute.threads ? [parts.rows] : parts.rows.map { [$0] }
        compute.forEach(
            groups.count * parts.columns.count, "\(y.rows) x \(x.columns) x \(y.columns)", function: "product"
        ) { index, worker in
            let columns = parts.columns[index / groups.count]
            eachUnpacked(weight[rows: columns], compute) { blocks, outputs in
                for rows in groups[index % groups.count] {
                    multiplyAlone(
                        x[rows: rows], blocks, into: y[rows: rows][columns: columns][columns: outputs],
                        accumulate: accumulate, worker: worker)
                }
            }
        }
    }

    /// The same on the calling thread, whose number is given.
    func multiplyAlone(_ x: BFloat16Matrix, _ weight: PackedMatrix, into y: Matrix, accumulate: Bool, worker: Int) {
        eachUnpacked(weight, y.compute) { blocks, outputs in
            multiplyAlone(x, blocks, into: y[columns: outputs], accumulate: accumulate, worker: worker)
        }
    }

    /// Runs `body` with some unpacked rows of a weight after the other, and which they are.
    private func eachUnpacked(
        _ weight: PackedMatrix, _ compute: Compute, _ body: (_ blocks: BlockedMatrix, _ rows: Range<Int>) -> Void
    ) {
        let most = max(1, Self.mostUnpacked / (BlockedMatrix.blockRows * weight.columns)) * BlockedMatrix.blockRows
        for rows in (0..<weight.rows).chunks(most) {
            let count = BlockedMatrix.count(rows: rows.count, columns: weight.columns)
            compute.unpackedPanels.with(2 * count) { memory in
                let blocks = BlockedMatrix(
                    start: memory.bindMemory(to: UInt16.self, capacity: count), rows: rows.count,
                    columns: weight.columns)
                blocks.unpack(weight[rows: rows])
                body(blocks, rows)
            }
        }
    }
}

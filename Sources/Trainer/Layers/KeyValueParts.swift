/// Gradients of attention's keys and values that threads add up apart: blocks of queries are divided into parts, each part
/// has sums of its own, and these are added in order.
///
/// How many parts there are follows from the batch alone, and so do the sums, whatever the number of threads.
struct KeyValueParts {
    private let sums: [Attention.KeyValue]

    /// About how many pieces a batch's backward pass is cut into: as many threads have something to do.
    private static let pieces = 64

    /// Parts of a sequence's blocks that make enough pieces: with them, all query heads of a key/value head are a piece of
    /// work, so that no two add to the same gradient.
    static func wanted(_ sequences: Int, _ keyValueHeads: Int) -> Int {
        max(1, pieces / max(1, sequences * keyValueHeads))
    }

    /// Parts that a number of blocks can be divided into: each has one and a half on average.
    static func possible(_ blocks: Int) -> Int { max(1, blocks * 2 / 3) }

    /// Memory for a number of parts, not yet written; none for a single one, which adds to the whole sum.
    init(_ count: Int, like whole: Attention.KeyValue, in workspace: Workspace) {
        sums = (0..<(count > 1 ? count : 0)).map { _ in
            Attention.KeyValue(
                keys: workspace.matrix(rows: whole.keys.rows, columns: whole.keys.columns),
                values: workspace.matrix(rows: whole.values.rows, columns: whole.values.columns))
        }
    }

    /// Elements of them.
    static func elements(_ count: Int, rows: Int, width: Int) -> Int { count > 1 ? count * 2 * rows * width : 0 }

    /// A part's sums; nil where there is a single one.
    subscript(part: Int) -> Attention.KeyValue? { sums.isEmpty ? nil : sums[part] }

    /// Divides a sequence's blocks, which ascend by the keys that they see, into parts that take about as long, each block
    /// to the part that has the least yet: the longest first, so that a part's first block has all the keys of its others.
    ///
    /// - Parameter work: Of a block, in any unit.
    static func divide<Block>(_ blocks: [Block], into count: Int, work: (Block) -> Int) -> [[Block]] {
        var parts = [[Block]](repeating: [], count: count)
        var sums = [Int](repeating: 0, count: count)
        for block in blocks.reversed() {
            let part = sums.indices.reduce(0) { sums[$1] < sums[$0] ? $1 : $0 }
            parts[part].append(block)
            sums[part] += work(block)
        }
        return parts
    }

    /// Adds the parts' gradients of a sequence's keys and values, in order.
    ///
    /// - Parameters:
    ///   - seen: How many keys of the sequence each part has gradients of.
    ///   - keys: The sequence's.
    func add(seen: [Int], _ keys: Range<Int>, to whole: Attention.KeyValue) {
        guard !sums.isEmpty else { return }
        let width = whole.keys.columns
        whole.keys.compute.rows(keys.count, of: 2 * width * sums.count) { range in
            for key in range {
                let row = keys.lowerBound + key
                for (part, seen) in zip(sums, seen) where key < seen {
                    Trainer.add(1, part.keys.row(row), to: whole.keys.row(row), width)
                    Trainer.add(1, part.values.row(row), to: whole.values.row(row), width)
                }
            }
        }
    }
}

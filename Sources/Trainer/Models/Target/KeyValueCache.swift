import Glibc

/// The keys and values of a sequence's rows so far, for each layer: what decoding token by token reads.
final class KeyValueCache {
    private let layers: [Attention.KeyValue]
    private let memory: UnsafeMutablePointer<Float>
    let capacity: Int
    /// Rows that are in the cache.
    private(set) var count = 0

    /// - Parameters:
    ///   - layers: How many layers there are.
    ///   - width: numKeyValueHeads · headDim of this rank.
    ///   - capacity: The longest sequence, in rows.
    init(layers: Int, width: Int, capacity: Int, _ compute: Compute) {
        self.capacity = capacity
        let memory = allocateFloats(2 * layers * capacity * width)
        self.memory = memory
        self.layers = (0..<layers).map { layer in
            let start = memory + 2 * layer * capacity * width
            return Attention.KeyValue(
                keys: Matrix(start: start, rows: capacity, columns: width, compute),
                values: Matrix(start: start + capacity * width, rows: capacity, columns: width, compute))
        }
    }

    deinit { free(memory) }

    /// Appends rows to those of a layer and returns all of them.
    func append(_ keyValue: Attention.KeyValue, layer: Int) -> Attention.KeyValue {
        let rows = count..<count + keyValue.keys.rows
        precondition(rows.upperBound <= capacity)
        layers[layer].keys[rows: rows].copy(from: keyValue.keys)
        layers[layer].values[rows: rows].copy(from: keyValue.values)
        return Attention.KeyValue(
            keys: layers[layer].keys[rows: 0..<rows.upperBound], values: layers[layer].values[rows: 0..<rows.upperBound]
        )
    }

    /// Counts `rows` that all layers have appended.
    func advance(_ rows: Int) { count += rows }

    /// Forgets all rows from `count` on: those of tokens that were not accepted.
    func truncate(to count: Int) {
        precondition(count <= self.count)
        self.count = count
    }
}

import Glibc

/// The keys and values of a sequence's rows so far, for each layer, and the states of those that have one instead: what
/// decoding token by token reads.
final class KeyValueCache {
    private let layers: [Attention.KeyValue]
    private let memory: UnsafeMutablePointer<Float>
    let capacity: Int
    /// The states of layers that have one.
    let states: [Int: RecurrentState]
    /// Rows that are in the cache.
    private(set) var count = 0

    /// - Parameters:
    ///   - widths: For each layer, this rank's numKeyValueHeads · headDim; 0 where a layer has no keys.
    ///   - capacity: The longest sequence, in rows.
    init(widths: [Int], states: [Int: RecurrentState] = [:], capacity: Int, _ compute: Compute) {
        self.capacity = capacity
        self.states = states
        let memory = allocateFloats(2 * capacity * widths.reduce(0, +))
        self.memory = memory
        var start = memory
        layers = widths.map { width in
            defer { start += 2 * capacity * width }
            return Attention.KeyValue(
                keys: Matrix(start: start, rows: capacity, columns: width, compute),
                values: Matrix(start: start + capacity * width, rows: capacity, columns: width, compute))
        }
    }

    /// As many layers of one width.
    convenience init(layers: Int, width: Int, capacity: Int, _ compute: Compute) {
        self.init(widths: [Int](repeating: width, count: layers), capacity: capacity, compute)
    }

    deinit { free(memory) }

    /// Bytes of the keys and values of layers of these widths.
    static func byteCount(widths: [Int], capacity: Int) -> Int {
        2 * capacity * widths.reduce(0, +) * MemoryLayout<Float>.stride
    }

    /// Bytes of those of as many layers of one width.
    static func byteCount(layers: Int, width: Int, capacity: Int) -> Int {
        byteCount(widths: [Int](repeating: width, count: layers), capacity: capacity)
    }

    /// Appends rows to those of a layer and returns all of them.
    func append(_ keyValue: Attention.KeyValue, layer: Int) -> Attention.KeyValue {
        let rows = count..<count + keyValue.keys.rows
        precondition(rows.upperBound <= capacity)
        layers[layer].keys[rows: rows].copy(from: keyValue.keys)
        layers[layer].values[rows: rows].copy(from: keyValue.values)
        return read(layer: layer, adding: keyValue.keys.rows)
    }

    /// A layer's rows, and those that it has appended in this pass.
    func read(layer: Int, adding new: Int) -> Attention.KeyValue {
        let rows = 0..<count + new
        return Attention.KeyValue(keys: layers[layer].keys[rows: rows], values: layers[layer].values[rows: rows])
    }

    /// The keys and values of a layer's rows.
    func keyValue(layer: Int) -> Attention.KeyValue {
        Attention.KeyValue(
            keys: layers[layer].keys[rows: 0..<count], values: layers[layer].values[rows: 0..<count])
    }

    /// Counts `rows` that all layers have appended.
    func advance(_ rows: Int) { count += rows }

    /// Forgets all rows from `count` on: those of tokens that were not accepted.
    ///
    /// States go back by no more than the last run, unless to the beginning.
    func truncate(to count: Int) {
        precondition(count <= self.count && states.values.allSatisfy { $0.reaches(count) })
        self.count = count
    }
}

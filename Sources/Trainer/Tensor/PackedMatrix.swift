import Shared
import Synchronization

/// A matrix whose rows stay packed as a file holds them: an operand of products, unpacked as they need it.
///
/// In memory that somebody else owns. Rows of several tensors may stand below each other, each in a format of its own.
struct PackedMatrix: @unchecked Sendable {
    /// Neighbouring rows of one format.
    struct Segment {
        let start: UnsafeMutableRawPointer
        let rows: Int
        let format: RowFormat
        /// Bytes between the starts of two rows.
        let stride: Int

        @inline(__always) func row(_ row: Int) -> UnsafeMutableRawPointer { start + row * stride }
    }

    let segments: [Segment]
    let rows: Int
    let columns: Int
    let compute: Compute

    init(_ segments: [Segment], columns: Int, _ compute: Compute) {
        self.segments = segments
        self.columns = columns
        self.compute = compute
        rows = segments.reduce(0) { $0 + $1.rows }
    }

    subscript(rows range: Range<Int>) -> PackedMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        var (first, parts) = (0, [Segment]())
        for segment in segments {
            let own = range.clamped(to: first..<first + segment.rows)
            if !own.isEmpty {
                parts.append(
                    Segment(
                        start: segment.row(own.lowerBound - first), rows: own.count, format: segment.format,
                        stride: segment.stride))
            }
            first += segment.rows
        }
        return PackedMatrix(parts, columns: columns, compute)
    }

    /// Runs `body` for each of some rows, with its format.
    @inline(__always) func eachRow(
        in range: Range<Int>, _ body: (_ row: Int, _ bytes: UnsafeRawPointer, _ format: RowFormat) -> Void
    ) {
        var first = 0
        for segment in segments {
            let own = range.clamped(to: first..<first + segment.rows)
            for row in own { body(row, segment.row(row - first), segment.format) }
            first += segment.rows
        }
    }

    /// Unpacks some rows, on the calling thread; rounds them if the target is bfloat16.
    func unpack(_ range: Range<Int>, into target: Operand) {
        eachRow(in: range) { row, bytes, format in
            switch target {
            case .float32(let target):
                format.unpack(bytes, count: columns, into: target.row(row - range.lowerBound))
            case .bfloat16(let target):
                format.unpack(bytes, count: columns, into: target.row(row - range.lowerBound))
            }
        }
    }
}

/// y = x wᵀ, or y += x wᵀ.
///
/// x: [m, k], w: [n, k], y: [m, n].
func multiply(_ x: Matrix, transposed w: PackedMatrix, into y: Matrix, accumulate: Bool = false) {
    precondition(x.columns == w.columns && y.rows == x.rows && y.columns == w.rows)
    guard y.count > 0 else { return }
    guard y.rows > FewRows.most else { return FewRows.multiply(x, w, into: y, accumulate: accumulate) }
    switch y.compute.precision {
    case .float32: multiply(.float32(x), byPanelsOf: w, into: y, accumulate: accumulate)
    case .bfloat16:
        if let products = y.compute.blockProducts, products.support(w) {
            return y.compute.withRounded(x, inMemoryForRows: BlockProducts.paddedRows(x.rows)) {
                products.multiply($0, w, into: y, accumulate: accumulate)
            }
        }
        y.compute.withRounded(x) { multiply(.bfloat16($0), byPanelsOf: w, into: y, accumulate: accumulate) }
    }
}

/// y = x wᵀ, or y += x wᵀ: unpacks a weight by panels, all threads each of them, and multiplies with each.
///
/// Panels are about equal, so that none is a single row, for which libraries have other kernels.
func multiply(_ x: Operand, byPanelsOf w: PackedMatrix, into y: Matrix, accumulate: Bool) {
    let compute = y.compute
    let most = panelRows(w, compute)
    let panels = (w.rows + most - 1) / most
    let bounds = (0...panels).map { min(w.rows, (w.rows * $0 / panels + 31) & ~31) }
    compute.withUnpackedPanel(rows: min(w.rows, most + 32), columns: w.columns) { panel in
        for (first, end) in zip(bounds, bounds.dropFirst()) {
            compute.rows(end - first, of: w.columns) { part in
                w.unpack(first + part.lowerBound..<first + part.upperBound, into: panel[rows: part])
            }
            multiply(
                x, transposed: panel[rows: 0..<end - first], depth: w.columns, into: y[columns: first..<end],
                accumulate: accumulate)
        }
    }
}

/// Rows that are unpacked together: enough for each thread that a product packs its other operand about as rarely as it
/// would for the whole weight, and few enough that a panel takes little memory.
private func panelRows(_ w: PackedMatrix, _ compute: Compute) -> Int {
    let threads = compute.hasFixedCuts ? TileGrid.fixedThreads : compute.threads
    let most = max(512, UnpackedPanels.mostElements / max(1, w.columns) & ~31)
    return min(w.rows, most, 2048 * threads)
}

/// Memory for what is unpacked at a time: a panel of all threads, or a tile of one, each of which grows to the largest.
final class UnpackedPanels: Sendable {
    /// Elements of a panel, unless 512 rows have more.
    static let mostElements = 1 << 24

    private let free = Mutex<[Panel]>([])

    /// Runs `body` with at least `count` bytes.
    func with(_ count: Int, _ body: (UnsafeMutableRawPointer) -> Void) {
        var panel = free.withLock { $0.popLast() } ?? Panel()
        body(panel.bytes(count))
        let filled = panel
        free.withLock { $0.append(filled) }
    }

    /// Given back when the process ends.
    private struct Panel: @unchecked Sendable {
        private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 64)

        mutating func bytes(_ count: Int) -> UnsafeMutableRawPointer {
            if memory.count < count {
                memory.deallocate()
                memory = .allocate(byteCount: count, alignment: 64)
            }
            guard let start = memory.baseAddress else { preconditionFailure("a panel without elements") }
            return start
        }
    }
}

extension Compute {
    /// Runs `body` with memory for rows that are unpacked, in the precision of products.
    func withUnpackedPanel(rows: Int, columns: Int, _ body: (Operand) -> Void) {
        switch precision {
        case .float32:
            unpackedPanels.with(4 * rows * columns) { memory in
                let start = memory.bindMemory(to: Float.self, capacity: rows * columns)
                body(.float32(Matrix(start: start, rows: rows, columns: columns, self)))
            }
        case .bfloat16:
            let stride = BFloat16Matrix.stride(columns: columns)
            unpackedPanels.with(2 * rows * stride) { memory in
                let start = memory.bindMemory(to: UInt16.self, capacity: rows * stride)
                body(.bfloat16(BFloat16Matrix(start: start, rows: rows, columns: columns, stride: stride)))
            }
        }
    }
}

/// Some experts of a mixture at work: their products are cut into tiles that threads take from whichever expert there
/// are, so that neither few rows nor uneven routing leaves threads idle.
///
/// Tiles have sizes of their own, so that results are the same for any number of threads.
struct ExpertGroup {
    let mixture: MixtureOfExperts
    /// The experts, ascending.
    let numbers: [Int]
    /// Where the slots of each begin, and at the end where the last one's end.
    let starts: [Int]

    /// Rows and columns of a tile, at most.
    private static let (tileRows, tileColumns) = (512, 512)

    /// All slots of these experts.
    var slots: Range<Int> { starts[0]..<starts[numbers.count] }

    /// Some rows and columns of an expert's product.
    private struct Tile {
        let expert: GatedMLP
        /// Counted from the group's first slot.
        let rows: Range<Int>
        let columns: Range<Int>
        /// Whether the expert has so few rows that each is computed by itself.
        let isOfFew: Bool
    }

    /// The tiles of products with a number of columns, the largest first.
    ///
    /// They begin with blocks of columns.
    private func tiles(_ compute: Compute, _ columns: (GatedMLP) -> Int) -> [Tile] {
        let tiles = numbers.enumerated().flatMap { index, number -> [Tile] in
            guard let expert = mixture.experts[number] else { return [] }
            let rows = starts[index] - starts[0]..<starts[index + 1] - starts[0]
            return Self.cut(rows, Self.tileRows).flatMap { part in
                Self.cut(0..<columns(expert), Self.tileColumns, by: BlockedMatrix.blockRows).map { columns in
                    Tile(
                        expert: expert, rows: part, columns: columns,
                        isOfFew: rows.count <= FewRows.most || compute.hasIndependentRows)
                }
            }
        }
        return tiles.enumerated().sorted { ($1.element.rows.count, $0.offset) < ($0.element.rows.count, $1.offset) }
            .map(\.element)
    }

    /// Even parts of a range, none longer than `most`, of whole units but for the last one.
    private static func cut(_ range: Range<Int>, _ most: Int, by unit: Int = 1) -> [Range<Int>] {
        let (parts, units) = ((range.count + most - 1) / most, (range.count + unit - 1) / unit)
        let bound = { (part: Int) in range.lowerBound + min(range.count, units * part / parts * unit) }
        return (0..<parts).map { bound($0)..<bound($0 + 1) }
    }

    /// y += what these experts make of their rows of x.
    func addPart(_ x: Matrix, _ routes: ExpertRoutes, to y: Matrix, in workspace: Workspace) {
        let features = numbers.compactMap { mixture.experts[$0]?.down.weight.columns }.max() ?? 0
        workspace.scope {
            // Each expert's input, and then in its place its output.
            let rows = workspace.matrix(rows: slots.count, columns: x.columns)
            let both = workspace.matrix(rows: slots.count, columns: 2 * features)
            let expert = mixture.experts[numbers[0]]
            let input = Self.operand(of: rows, with: expert?.gateUp.weight, in: workspace)
            let activations = Self.operand(of: both[columns: 0..<features], with: expert?.down.weight, in: workspace)
            gather(x, routes, into: rows, input)
            let hidden = tiles(x.compute) { $0.down.weight.columns }
            x.compute.forEach(hidden.count) { index, worker in
                activate(hidden[index], rows, input, both, activations, worker)
            }
            let outputs = tiles(x.compute) { $0.down.weight.rows }
            x.compute.forEach(outputs.count) { index, worker in
                let tile = outputs[index]
                let width = tile.expert.down.weight.columns
                let output = rows[rows: tile.rows][columns: tile.columns]
                tile.expert.down.weight[rows: tile.columns].applyAlone(
                    both[rows: tile.rows][columns: 0..<width], activations[rows: tile.rows][columns: 0..<width],
                    into: output, isOfFew: tile.isOfFew, worker: worker)
                guard let bias = tile.expert.down.bias else { return }
                for row in 0..<output.rows {
                    add(1, bias.start + tile.columns.lowerBound, to: output.row(row), output.columns)
                }
            }
            combine(rows, routes, into: y)
        }
    }

    /// An operand of products with a weight, or with others that are held as it is.
    private static func operand(
        of matrix: Matrix, with weight: FrozenWeight?, in workspace: Workspace
    ) -> Operand {
        switch weight {
        case .blocked: .bfloat16(workspace.denseBFloat16(rows: matrix.rows, columns: matrix.columns))
        case .bfloat16: Operand(of: matrix, .bfloat16, in: workspace)
        case .packed(let weight) where matrix.compute.blockProducts?.support(weight) == true:
            .bfloat16(workspace.denseBFloat16(rows: matrix.rows, columns: matrix.columns))
        case .packed(let weight): Operand(of: matrix, weight.compute.precision, in: workspace)
        case .float32, nil: Operand(of: matrix, .float32, in: workspace)
        }
    }

    private func gather(_ x: Matrix, _ routes: ExpertRoutes, into rows: Matrix, _ input: Operand) {
        let scalesInput = mixture.routing.weighting == .sigmoidOfInput
        x.compute.rows(rows.rows, of: rows.columns) { range in
            for row in range {
                let slot = slots.lowerBound + row
                rows.row(row).update(from: x.row(Int(routes.rows[slot])), count: x.columns)
                if scalesInput { rows.scale(row: row, by: routes.weights[slot]) }
                input.round(row, of: rows, rows.columns)
            }
        }
    }

    /// The activation of a tile's features, in the place of its gate, or of what there is without one.
    private func activate(
        _ tile: Tile, _ rows: Matrix, _ input: Operand, _ both: Matrix, _ activations: Operand, _ worker: Int
    ) {
        let (expert, width) = (tile.expert, tile.expert.down.weight.columns)
        let up = width + tile.columns.lowerBound..<width + tile.columns.upperBound
        let halves = (expert.gate.isGated ? [tile.columns, up] : [tile.columns]).map { columns in
            let half = both[rows: tile.rows][columns: columns]
            if let bias = expert.gateUp.bias {
                for row in 0..<half.rows {
                    half.row(row).update(from: bias.start + columns.lowerBound, count: half.columns)
                }
            }
            expert.gateUp.weight[rows: columns].applyAlone(
                rows[rows: tile.rows], input[rows: tile.rows], into: half, accumulate: expert.gateUp.bias != nil,
                isOfFew: tile.isOfFew, worker: worker)
            return half
        }
        if expert.gate.isGated {
            GatedActivation.forward(halves[0], halves[1], into: halves[0], expert.gate)
        } else {
            GatedActivation.squaredReLU(halves[0], into: halves[0])
        }
        if !tile.isOfFew { activations[rows: tile.rows][columns: tile.columns].round(halves[0]) }
    }

    /// Adds each row's outputs, of experts in ascending order.
    private func combine(_ outputs: Matrix, _ routes: ExpertRoutes, into y: Matrix) {
        let (slots, scalesInput) = (slots, mixture.routing.weighting == .sigmoidOfInput)
        y.compute.rows(y.rows, of: y.columns * max(1, routes.slots.count / max(1, y.rows))) { range in
            for row in range {
                for index in routes.slotStarts[row]..<routes.slotStarts[row + 1] {
                    let slot = Int(routes.slots[Int(index)])
                    guard slots.contains(slot) else { continue }
                    add(
                        scalesInput ? 1 : routes.weights[slot], outputs.row(slot - slots.lowerBound), to: y.row(row),
                        y.columns)
                }
            }
        }
    }
}

extension FrozenWeight {
    /// y = x Wᵀ, or y += x Wᵀ, on the calling thread.
    ///
    /// - Parameters:
    ///   - operand: x as an operand of products in the weight's precision.
    ///   - isOfFew: Whether each row is computed by itself, as `FewRows` does.
    ///   - worker: The calling thread's number.
    fileprivate func applyAlone(
        _ x: Matrix, _ operand: Operand, into y: Matrix, accumulate: Bool = false, isOfFew: Bool, worker: Int
    ) {
        switch self {
        case .float32(let weight) where isOfFew: FewRows.multiply(x, byInputs: weight, into: y, accumulate: accumulate)
        case .bfloat16(let weight) where isOfFew: FewRows.multiply(x, weight, into: y, accumulate: accumulate)
        case .packed(let weight) where isOfFew: FewRows.multiply(x, weight, into: y, accumulate: accumulate)
        case .blocked(let weight) where isOfFew: FewRows.multiply(x, weight, into: y, accumulate: accumulate)
        case .packed(let weight):
            if case .bfloat16(let x) = operand, let products = y.compute.blockProducts, products.support(weight) {
                return products.multiplyAlone(x, weight, into: y, accumulate: accumulate, worker: worker)
            }
            weight.compute.withUnpackedPanel(rows: weight.rows, columns: weight.columns) { panel in
                weight.unpack(0..<weight.rows, into: panel)
                BLAS.product(
                    operand, transposed: false, panel, transposed: true, into: y, accumulate: accumulate)
            }
        case .float32(let weight):
            BLAS.product(
                operand, transposed: false, .float32(weight), transposed: false, into: y, accumulate: accumulate)
        case .bfloat16(let weight):
            BLAS.product(
                operand, transposed: false, .bfloat16(weight), transposed: true, into: y, accumulate: accumulate)
        case .blocked(let weight):
            guard case .bfloat16(let x) = operand, let products = y.compute.blockProducts else {
                preconditionFailure("a blocked weight, and an operand of float32")
            }
            products.multiplyAlone(x, weight, into: y, accumulate: accumulate, worker: worker)
        }
    }
}

import Glibc

/// AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019; torch's `AdamW`).
///
/// With g the gradient after clipping, at update n from 1:
///
///     m = β₁ m + (1 − β₁) g        v = β₂ v + (1 − β₂) g²
///     w = w − lr λ w − lr (m / (1 − β₁ⁿ)) / (√(v / (1 − β₂ⁿ)) + ε)
final class AdamW {
    struct Settings: Equatable {
        var beta1: Float = 0.9
        var beta2: Float = 0.999
        var epsilon: Float = 1e-8
        var weightDecay: Float = 0
    }

    let settings: Settings
    /// The ranges in a store of the weights that are updated.
    private let ranges: [Range<Int>]
    private let compute: Compute
    /// Ranges of the store, ascending, whose weights something else updates by the first moments here.
    private let others: [Range<Int>]
    /// Of each of `ranges`, the parts of either kind.
    private let parts: [(own: [Range<Int>], others: [Range<Int>])]
    /// Where each range's moments stand in `m` and `v`.
    let momentRanges: [Range<Int>]
    /// First and second moments of these weights, concatenated by range.
    let m: UnsafeMutableBufferPointer<Float>
    let v: UnsafeMutableBufferPointer<Float>
    /// Updates so far.
    var updates = 0

    /// For some ranges of a store's weights, which begin at multiples of 16.
    ///
    /// - Parameter others: What it leaves to something else, likewise.
    init(_ ranges: [Range<Int>], _ settings: Settings, _ compute: Compute, except others: [Range<Int>] = []) {
        self.settings = settings
        self.compute = compute
        self.others = others
        parts = ranges.map { Self.split($0, by: others) }
        self.ranges = ranges
        let starts = ranges.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
        momentRanges = zip(starts, starts.dropFirst()).map { $0..<$1 }
        let count = starts[ranges.count]
        m = UnsafeMutableBufferPointer(start: allocateFloats(count), count: count)
        v = UnsafeMutableBufferPointer(start: allocateFloats(count), count: count)
        guard let m = m.baseAddress, let v = v.baseAddress else { return }
        // Each thread touches first what it will update, so that it is in the memory next to it.
        nonisolated(unsafe) let moments = (m, v)
        for group in groups {
            for elements in [Elements.own, .others] {
                forEachPiece(elements, of: group) { elements, moment in
                    (moments.0 + moment).update(repeating: 0, count: elements.count)
                    (moments.1 + moment).update(repeating: 0, count: elements.count)
                }
            }
        }
    }

    deinit {
        free(m.baseAddress)
        free(v.baseAddress)
    }

    /// Moves the weights along their gradients times `gradientFactor`.
    ///
    /// - Parameter updated: Called when a range, by its number, is done.
    func update(
        _ parameters: ParameterStore, learningRate: Float, gradientFactor: Float, updated: (Int) -> Void
    ) {
        updates += 1
        guard let w = parameters.weights.baseAddress, let g = parameters.gradients.baseAddress,
            let m = m.baseAddress, let v = v.baseAddress
        else { return }
        let factors = Factors(settings, updates: updates, learningRate: learningRate, gradientFactor: gradientFactor)
        nonisolated(unsafe) let pointers = (w, g, m, v)
        for group in groups {
            forEachPiece(.own, of: group) { elements, moment in
                let start = elements.lowerBound
                factors.update(
                    pointers.0 + start, pointers.1 + start, pointers.2 + moment, pointers.3 + moment, elements.count)
            }
            for index in group { updated(index) }
        }
    }

    // MARK: - Pieces

    /// Where moments stand, counted from where weights do.
    private func offset(of range: Int) -> Int { momentRanges[range].lowerBound - ranges[range].lowerBound }

    /// Elements of a group of ranges for each thread, at least, where there are as many.
    private static let elementsPerThread = 65_536
    /// Ranges of a group, at most: what is updated is on its way while the next ones are updated.
    private static let mostTogether = 4

    /// Neighbouring ranges that are updated by one loop: a bucket's part is little work where many ranks share it.
    private var groups: [Range<Int>] {
        var groups: [Range<Int>] = []
        var first = 0
        while first < ranges.count {
            var (last, count) = (first, 0)
            repeat {
                count += ranges[last].count
                last += 1
            } while last < ranges.count && last - first < Self.mostTogether
                && count < compute.threads * Self.elementsPerThread
            groups.append(first..<last)
            first = last
        }
        return groups
    }

    /// Whose elements are meant.
    enum Elements {
        /// Those that are updated here.
        case own
        /// Those that something else updates.
        case others
    }

    /// Calls `body` with pieces of a group's ranges, or of all, each thread with neighbouring ones, and always the same.
    ///
    /// - Parameter body: Gets a piece's elements, and where their moments begin in `m` and `v`.
    func forEachPiece(
        _ wanted: Elements, of group: Range<Int>? = nil, function: StaticString = #function,
        _ body: (_ elements: Range<Int>, _ moment: Int) -> Void
    ) {
        let pieces = Sharding.pieces(
            of: (group ?? ranges.indices).flatMap { index in
                (wanted == .own ? parts[index].own : parts[index].others).map { (offset: index, element: $0) }
            })
        compute.ranges(pieces.count, function: function) { range in
            for piece in pieces[range] { body(piece.elements, piece.elements.lowerBound + offset(of: piece.range)) }
        }
    }

    /// What of a range is updated here.
    func own(_ range: Range<Int>) -> [Range<Int>] { Self.split(range, by: others).own }

    /// A range without some others, and what of these is in it.
    private static func split(_ range: Range<Int>, by others: [Range<Int>]) -> (own: [Range<Int>], others: [Range<Int>])
    {
        var (own, common) = ([Range<Int>](), [Range<Int>]())
        var rest = range
        for other in others where other.overlaps(range) {
            common.append(other.clamped(to: range))
            own.append(rest.lowerBound..<max(rest.lowerBound, other.lowerBound))
            rest = min(other.upperBound, range.upperBound)..<range.upperBound
        }
        return ((own + [rest]).filter { !$0.isEmpty }, common)
    }

    /// The factors of an update that are the same for all weights.
    private struct Factors {
        let stepSize, rootCorrection, decay, b1, c1, b2, c2, epsilon, gradient: Vector

        init(_ settings: Settings, updates: Int, learningRate: Float, gradientFactor: Float) {
            let (beta1, beta2) = (Double(settings.beta1), Double(settings.beta2))
            stepSize = Vector(repeating: Float(Double(learningRate) / (1 - pow(beta1, Double(updates)))))
            rootCorrection = Vector(repeating: Float((1 - pow(beta2, Double(updates))).squareRoot()))
            decay = Vector(repeating: 1 - learningRate * settings.weightDecay)
            (b1, c1) = (Vector(repeating: settings.beta1), Vector(repeating: 1 - settings.beta1))
            (b2, c2) = (Vector(repeating: settings.beta2), Vector(repeating: 1 - settings.beta2))
            epsilon = Vector(repeating: settings.epsilon)
            gradient = Vector(repeating: gradientFactor)
        }

        func update(
            _ w: UnsafeMutablePointer<Float>, _ g: UnsafeMutablePointer<Float>, _ m: UnsafeMutablePointer<Float>,
            _ v: UnsafeMutablePointer<Float>, _ count: Int
        ) {
            for i in stride(from: 0, to: count, by: 16) {
                let gradient = g.load(i, of: count) * gradient
                let first = b1 * m.load(i, of: count) + c1 * gradient
                let second = b2 * v.load(i, of: count) + c2 * gradient * gradient
                m.store(first, i, of: count)
                v.store(second, i, of: count)
                let denominator = second.squareRoot() / rootCorrection + epsilon
                w.store(w.load(i, of: count) * decay - stepSize * first / denominator, i, of: count)
            }
        }
    }
}

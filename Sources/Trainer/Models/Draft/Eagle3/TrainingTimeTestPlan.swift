/// Which rows of a batch each step of training-time test computes, and which of them learn what.
///
/// Row t of step k holds the token x[t + 1 + k] and what the step before made of row t; it learns the target's
/// distribution after that token, which is logits[t + 1 + k] and predicts x[t + 2 + k] (EAGLE-3, section 3.2; facts of
/// SpecForge's `OnlineEagle3Model`). Row t of any step depends on step 0's keys and values of the rows up to t, and on
/// row t of the steps before, and on nothing else. So rows from which no step reaches a supervised token are active in
/// none: only their step-0 keys and values are computed.
struct TrainingTimeTestPlan {
    /// Which tokens' distributions a row learns.
    enum LossMaskAlignment: String, CaseIterable, Sendable {
        /// Those whose predicted token x[t + 2 + k] is the assistant's: what the draft will be asked for when it serves.
        case label
        /// Those whose x[t + k] is the assistant's, as EAGLE and SpecForge do: two tokens late.
        case eagle
    }

    /// What one row of one step learns.
    struct Label {
        /// The step.
        let step: Int
        /// The row's index in `activeRows`.
        let row: Int
        /// The row of the batch whose logits are learnt; nil past the sequence's end, where SpecForge pads with zeros.
        let targetRow: Int?
        /// The sequence it belongs to.
        let sequence: Int
    }

    let tttLength: Int
    /// The batch's rows that all steps compute, ascending.
    let activeRows: [Int32]
    /// The position in its sequence of each active row.
    let positions: [Int32]
    /// The position in its sequence of every row of the batch.
    let allPositions: [Int32]
    /// How many of its sequence's rows each active row sees: those up to itself.
    let visible: [Int32]
    /// For each sequence, its rows among the active ones and among all.
    let segments: [Attention.Segment]
    /// What is learnt, ordered by target row and then by step, so that rows with the same label are neighbours.
    let labels: [Label]
    /// How many labels each step has.
    let labelCounts: [Int]
    /// For each step, the row of the extended embedding that each active row holds; each sequence is followed by `padding`.
    let embeddingRows: [[Int32]]
    /// The same for step 0 of all rows.
    let allEmbeddingRows: [Int32]

    init(_ batch: Batch, tttLength: Int, alignment: LossMaskAlignment) {
        let offset = alignment == .label ? 2 : 0
        var (active, positions, segments, labels): ([Int32], [Int32], [Attention.Segment], [Label]) = ([], [], [], [])
        var embeddingRows = [[Int32]](repeating: [], count: tttLength)
        var allEmbeddingRows: [Int32] = []
        var labelCounts = [Int](repeating: 0, count: tttLength)
        for sequence in 0..<batch.sequenceCount {
            let rows = batch.rows(of: sequence)
            let firstActive = active.count
            var sequenceLabels: [Label] = []
            for t in 0..<rows.count {
                let extended = { (t: Int) in Int32(rows.lowerBound + sequence + min(t, rows.count)) }
                allEmbeddingRows.append(extended(t + 1))
                let steps = (0..<tttLength).filter { k in
                    t + k + offset < rows.count && batch.lossMask[rows.lowerBound + t + k + offset]
                }
                guard !steps.isEmpty else { continue }
                for k in steps {
                    let target = t + k + 1 < rows.count ? rows.lowerBound + t + k + 1 : nil
                    sequenceLabels.append(
                        Label(step: k, row: active.count, targetRow: target, sequence: sequence))
                    labelCounts[k] += 1
                }
                for k in 0..<tttLength { embeddingRows[k].append(extended(t + 1 + k)) }
                active.append(Int32(rows.lowerBound + t))
                positions.append(Int32(t))
            }
            labels += sequenceLabels.sorted {
                ($0.targetRow ?? rows.upperBound, $0.step) < ($1.targetRow ?? rows.upperBound, $1.step)
            }
            segments.append(Attention.Segment(queries: firstActive..<active.count, keys: rows))
        }
        self.tttLength = tttLength
        self.positions = positions
        allPositions = batch.positions
        visible = positions.map { $0 + 1 }
        self.segments = segments
        self.labels = labels
        self.labelCounts = labelCounts
        self.embeddingRows = embeddingRows
        self.allEmbeddingRows = allEmbeddingRows
        activeRows = active
    }

    /// The token after each sequence's end, as SpecForge pads: what rows past it hold.
    static let padding: [Int32] = [0]

    /// What the head learns: of the steps' hidden states one below the other, each of all active rows.
    var draftLabels: DraftLabels {
        DraftLabels(
            positionCount: tttLength, sequenceCount: segments.count, roundCount: activeRows.count,
            all: labels.map {
                DraftLabels.Label(
                    position: $0.step, row: $0.step * activeRows.count + $0.row, round: $0.row,
                    targetRow: $0.targetRow, sequence: $0.sequence)
            })
    }
}

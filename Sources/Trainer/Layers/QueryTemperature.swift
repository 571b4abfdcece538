import Glibc

/// Queries that grow with their position p, so that attention stays sharp over long sequences.
///
/// (Nakanishi 2025.) Each query becomes
///
///     q (a log(⌊(p + 1) / f⌋ + 1) + 1)
///
/// Llama 4 has it in the layers without rotation.
struct QueryTemperature {
    /// f, in positions.
    let floorScale: Float
    /// a.
    let attentionScale: Float

    /// Scales each row of queries by its position.
    func apply(_ q: Matrix, positionOf: [Int32]) {
        q.compute.rows(q.rows, of: q.columns) { range in
            for row in range {
                let position = Float(positionOf[row])
                q.scale(row: row, by: log1pf(floorf((position + 1) / floorScale)) * attentionScale + 1)
            }
        }
    }
}

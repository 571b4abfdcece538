import Glibc

/// Queries that grow with their position p, so that attention stays sharp over long sequences.
///
/// (Nakanishi 2025.) Each query becomes
///
///     q (a log(⌊(p + o) / f⌋ + 1) + 1)
///
/// Llama 4 has it in the layers without rotation, with o = 1; Ministral 3 in all, with o = 0.
struct QueryTemperature {
    /// f, in positions.
    let floorScale: Float
    /// a.
    let attentionScale: Float
    /// o.
    var offset: Float = 1

    /// Scales each row of queries by its position.
    func apply(_ q: Matrix, positionOf: [Int32]) {
        q.compute.rows(q.rows, of: q.columns) { range in
            for row in range {
                let position = Float(positionOf[row])
                q.scale(row: row, by: log1pf(floorf((position + offset) / floorScale)) * attentionScale + 1)
            }
        }
    }
}

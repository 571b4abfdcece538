import Shared

/// What the optimizer's share of a step says: its work depends on the draft's weights alone, so that steps of few tokens
/// of a large draft are mostly optimizer.
enum OptimizerShare {
    /// Above which a run is told.
    static let large = 0.3

    /// - Parameters:
    ///   - share: Of a step's time, 0 to 1.
    ///   - orthogonalizes: Whether it is Muon, which takes more than AdamW.
    static func note(_ share: Double, orthogonalizes: Bool) -> String? {
        guard share > large else { return nil }
        return
            "the optimizer takes \(fixed(100 * share, 0))% of a step, however few tokens it has: more in a step "
            + "(--draft-global-batch-size)"
            + (orthogonalizes ? " or --optimizer adamw, which takes less than muon, train faster" : " trains faster")
    }
}

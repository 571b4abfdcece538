import Glibc

/// What one row of one step minimises: cross-entropy, or what speculative decoding gains from it.
///
/// A drafted token is accepted with probability α (`DistillationLoss`), which cross-entropy raises only on its way to
/// the target's whole distribution. LK losses weigh α itself (SpecForge's lk_loss.py).
enum RowObjective: Equatable {
    /// −Σ p log q.
    case crossEntropy
    /// λ (−Σ p log q) + rejection (1 − α).
    case mixed(crossEntropy: Float, rejection: Float)
    /// −scale log α; nothing of a row whose α is zero.
    case logAcceptance(scale: Float)

    /// How much the gradients of cross-entropy and of −α weigh in the objective's.
    func factors(acceptance: Float) -> (crossEntropy: Float, acceptance: Float) {
        switch self {
        case .crossEntropy: (1, 0)
        case .mixed(let crossEntropy, let rejection): (crossEntropy, rejection)
        case .logAcceptance(let scale): (0, acceptance > 0 ? scale / max(acceptance, 1e-30) : 0)
        }
    }

    func value(crossEntropy: Float, acceptance: Float) -> Float {
        switch self {
        case .crossEntropy: crossEntropy
        case .mixed(let weight, let rejection): weight * crossEntropy + rejection * (1 - acceptance)
        case .logAcceptance(let scale): acceptance > 0 ? -scale * logf(acceptance) : 0
        }
    }
}

/// The gate of a gated MLP (SwiGLU): a = silu(g) u, where silu(g) = g σ(g) and σ(g) = 1 / (1 + e⁻ᵍ).
///
///     dg = da u σ(g) (1 + g (1 − σ(g)))
///     du = da silu(g)
///
/// Targets have other gates too, forward only.
enum GatedActivation {
    /// What takes the place of silu(g) u; each is g σ(f(g)) times what becomes of u.
    enum Gate: Equatable, Sendable {
        case silu
        /// gelu(g) u with gelu's approximation by tanh: g σ(√(8/π) (g + 0.044715 g³)) (GeGLU, Shazeer 2020).
        case geluTanh
        /// g σ(1.702 g) (u + 1), where g is at most `limit` and u within ±`limit` (gpt-oss).
        case clamped(limit: Float)
        /// max(u, 0)², without a gate (Nemotron).
        case squaredReLU

        /// Whether there is a g beside u.
        var isGated: Bool { self != .squaredReLU }
    }

    /// a = silu(g) u, or what another gate makes of them.
    ///
    /// gateUp: [rows, g | u], g in the left half of each row, or u alone; a: [rows, features].
    static func forward(_ gateUp: Matrix, into a: Matrix, _ gate: Gate = .silu) {
        guard gate.isGated else { return squaredReLU(gateUp, into: a) }
        precondition(gateUp.columns == 2 * a.columns)
        forward(gateUp[columns: 0..<a.columns], gateUp[columns: a.columns..<gateUp.columns], into: a, gate)
    }

    /// The same of g and u apart: [rows, features] each; a may be g.
    static func forward(_ g: Matrix, _ u: Matrix, into a: Matrix, _ gate: Gate) {
        switch gate {
        case .silu: forward(g, u, into: a) { g, u in g * sigmoid(g) * u }
        case .geluTanh:
            forward(g, u, into: a) { g, u in g * sigmoid(1.595_769_1 * (g + 0.044_715 * g * g * g)) * u }
        case .squaredReLU: squaredReLU(u, into: a)
        case .clamped(let limit):
            let (most, least) = (Vector(repeating: limit), Vector(repeating: -limit))
            forward(g, u, into: a) { g, u in
                let g = smaller(g, most)
                return g * sigmoid(1.702 * g) * (larger(smaller(u, most), least) + 1)
            }
        }
    }

    /// a = max(u, 0)²; a may be u.
    static func squaredReLU(_ u: Matrix, into a: Matrix) {
        precondition(u.rows == a.rows && u.columns == a.columns)
        a.compute.rows(a.rows, of: a.columns) { range in
            for row in range {
                for i in stride(from: 0, to: a.columns, by: 16) {
                    let x = larger(u.row(row).load(i, of: a.columns), .zero)
                    a.row(row).store(x * x, i, of: a.columns)
                }
            }
        }
    }

    @inline(__always) private static func forward(
        _ g: Matrix, _ u: Matrix, into a: Matrix, _ activation: (_ gate: Vector, _ up: Vector) -> Vector
    ) {
        let n = a.columns
        precondition(g.columns == n && u.columns == n && g.rows == a.rows && u.rows == a.rows)
        a.compute.rows(a.rows, of: n) { range in
            for row in range {
                let (gate, up, output) = (g.row(row), u.row(row), a.row(row))
                for i in stride(from: 0, to: n, by: 16) {
                    output.store(activation(gate.load(i, of: n), up.load(i, of: n)), i, of: n)
                }
            }
        }
    }

    /// Writes the gradients of both halves into `dGateUp`, which may be `gateUp` itself.
    static func backward(_ da: Matrix, gateUp: Matrix, into dGateUp: Matrix) {
        let n = da.columns
        precondition(gateUp.columns == 2 * n && dGateUp.columns == 2 * n)
        da.compute.rows(da.rows, of: n) { range in
            for row in range {
                let (gate, gradient, dGate) = (gateUp.row(row), da.row(row), dGateUp.row(row))
                let (up, dUp) = (gate + n, dGate + n)
                for i in stride(from: 0, to: n, by: 16) {
                    let (g, u, d) = (gate.load(i, of: n), up.load(i, of: n), gradient.load(i, of: n))
                    let s = sigmoid(g)
                    dGate.store(d * u * s * (1 + g * (1 - s)), i, of: n)
                    dUp.store(d * g * s, i, of: n)
                }
            }
        }
    }

    @inline(__always) private static func sigmoid(_ x: Vector) -> Vector { 1 / (1 + exp(-x)) }
}

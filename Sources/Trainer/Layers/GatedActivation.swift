/// The gate of a gated MLP (SwiGLU): a = silu(g) u, where silu(g) = g σ(g) and σ(g) = 1 / (1 + e⁻ᵍ).
///
///     dg = da u σ(g) (1 + g (1 − σ(g)))
///     du = da silu(g)
enum GatedActivation {
    /// a = silu(g) u.
    ///
    /// gateUp: [rows, g | u], g in the left half of each row; a: [rows, features].
    static func forward(_ gateUp: Matrix, into a: Matrix) {
        let n = a.columns
        precondition(gateUp.columns == 2 * n && gateUp.rows == a.rows)
        Parallel.ranges(a.rows, atLeast: 8) { range in
            for row in range {
                let (gate, output) = (gateUp.row(row), a.row(row))
                let up = gate + n
                for i in stride(from: 0, to: n, by: 16) {
                    let g = gate.load(i, of: n)
                    output.store(g * sigmoid(g) * up.load(i, of: n), i, of: n)
                }
            }
        }
    }

    /// Writes the gradients of both halves into `dGateUp`, which may be `gateUp` itself.
    static func backward(_ da: Matrix, gateUp: Matrix, into dGateUp: Matrix) {
        let n = da.columns
        precondition(gateUp.columns == 2 * n && dGateUp.columns == 2 * n)
        Parallel.ranges(da.rows, atLeast: 8) { range in
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

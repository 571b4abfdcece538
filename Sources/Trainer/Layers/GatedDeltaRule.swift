import Glibc

/// The gated delta rule of one head: a state of keys by values that is decayed, corrected and read, row by row.
///
///     S ← e^g S
///     S ← S + k̂ ⊗ β (v − Sᵀk̂)
///     o = Sᵀ q̂
///
/// where k̂ and q̂ are normalised to length 1, q̂ is then divided by √d_k, β = σ(b) and g = −e^A softplus(a + bias).
/// (Yang, Kautz and Hatamizadeh 2025, Gated Delta Networks; Qwen3.5's linear attention.)
struct GatedDeltaRule {
    let keyDim: Int
    let valueDim: Int

    /// Added to the squared length of queries and keys.
    private static let epsilon: Float = 1e-6

    /// Numbers of a head's state: [keyDim, valueDim].
    var stateCount: Int { keyDim * valueDim }

    /// One row.
    ///
    /// - Parameters:
    ///   - q: [keyDim], as k; v: [valueDim], as o.
    ///   - decay: e^g.
    ///   - scratch: [2 · keyDim].
    func step(
        q: UnsafeMutablePointer<Float>, k: UnsafeMutablePointer<Float>, v: UnsafeMutablePointer<Float>, decay: Float,
        beta: Float, state: UnsafeMutablePointer<Float>, into o: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let (query, key) = (scratch, scratch + keyDim)
        normalize(q, into: query, scale: 1 / Float(keyDim).squareRoot())
        normalize(k, into: key, scale: 1)
        for j in stride(from: 0, to: valueDim, by: 16) {
            var remembered = Vector.zero
            for i in 0..<keyDim {
                let row = state + i * valueDim
                let value = row.load(j, of: valueDim) * decay
                row.store(value, j, of: valueDim)
                remembered.addProduct(value, Vector(repeating: key[i]))
            }
            let delta = (v.load(j, of: valueDim) - remembered) * beta
            var output = Vector.zero
            for i in 0..<keyDim {
                let row = state + i * valueDim
                let value = row.load(j, of: valueDim).addingProduct(delta, Vector(repeating: key[i]))
                row.store(value, j, of: valueDim)
                output.addProduct(value, Vector(repeating: query[i]))
            }
            o.store(output, j, of: valueDim)
        }
    }

    private func normalize(_ x: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>, scale: Float) {
        let factor = scale / (dot(x, x, keyDim) + Self.epsilon).squareRoot()
        for i in stride(from: 0, to: keyDim, by: 16) { y.store(x.load(i, of: keyDim) * factor, i, of: keyDim) }
    }

    /// e^g = e^(−e^A softplus(a + bias)).
    static func decay(_ a: Float, bias: Float, logA: Float) -> Float { expf(-expf(logA) * softplus(a + bias)) }
}

/// log(1 + eˣ).
func softplus(_ x: Float) -> Float { x > 20 ? x : log1pf(expf(x)) }

/// 1 / (1 + e⁻ˣ).
func sigmoid(_ x: Float) -> Float { 1 / (1 + expf(-x)) }

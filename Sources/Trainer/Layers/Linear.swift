/// A linear map without bias: y = x Wᵀ.
///
///     dW += dyᵀ x
///     dx  = dy W
struct Linear {
    /// [out features, in features].
    let weight: Parameter

    func forward(_ x: Matrix, into y: Matrix, accumulate: Bool = false) {
        multiply(x, transposed: weight.weight, into: y, accumulate: accumulate)
    }

    /// Adds to the weight's gradient and writes the gradient of x into `dx`, or adds it; nil if nobody needs it.
    func backward(_ dy: Matrix, x: Matrix, into dx: Matrix?, accumulate: Bool = false) {
        if weight.gradient.rows > 0 { multiply(transposed: dy, x, into: weight.gradient, accumulate: true) }
        if let dx { multiply(dy, weight.weight, into: dx, accumulate: accumulate) }
    }
}

/// A linear map without bias: y = x Wᵀ.
///
///     dW += dyᵀ x
///     dx  = dy W
///
/// Where products are in bfloat16 the weight comes rounded (`ParameterStore.round()`), and dy is rounded once for both
/// of its products.
struct Linear {
    /// [out features, in features].
    let weight: Parameter

    func forward(_ x: Matrix, into y: Matrix, accumulate: Bool = false) {
        if let rounded = weight.rounded {
            multiply(x, transposed: rounded, into: y, accumulate: accumulate)
        } else {
            multiply(x, transposed: weight.weight, into: y, accumulate: accumulate)
        }
    }

    /// Adds to the weight's gradient and writes the gradient of x into `dx`, or adds it; nil if nobody needs it.
    func backward(_ dy: Matrix, x: Matrix, into dx: Matrix?, accumulate: Bool = false) {
        guard weight.rounded == nil || dy.count == 0 else {
            return dy.compute.withRounded(dy, x) { backward($0, x: $1, into: dx, accumulate: accumulate) }
        }
        if weight.gradient.rows > 0 { multiply(transposed: dy, x, into: weight.gradient, accumulate: true) }
        if let dx { multiply(dy, weight.weight, into: dx, accumulate: accumulate) }
    }

    /// As above, of operands that are bfloat16 already.
    func backward(_ dy: BFloat16Matrix, x: BFloat16Matrix, into dx: Matrix?, accumulate: Bool = false) {
        guard let rounded = weight.rounded else { preconditionFailure("a weight that isn't rounded") }
        if weight.gradient.rows > 0 {
            multiply(dy, transposed: true, x, transposed: false, into: weight.gradient, accumulate: true)
        }
        if let dx { multiply(dy, transposed: false, rounded, transposed: false, into: dx, accumulate: accumulate) }
    }
}

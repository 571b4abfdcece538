/// From the target's hidden states of three layers to the draft's first hidden state.
///
///     h = fc f                                                            f = [f_low | f_mid | f_high]
///     h = fc [fc_norm.0(f_low) | fc_norm.1(f_mid) | fc_norm.2(f_high)]    with `fc_norm`, as EAGLE-3.1 has it
///     h = fc input_norm(f)                                                with `norm_before_fc`
///
/// With both, `input_norm` comes first (SGLang's and vLLM's llama_eagle3.py).
struct FeatureFusion {
    let inputNorm: RMSNorm?
    /// One for each feature, or none.
    let featureNorms: [RMSNorm]
    let fc: Linear

    static let featureCount = AuxiliaryLayers.count

    static func declarations(_ shape: Eagle3DraftModel.Shape) -> [ParameterStore.Declaration] {
        let width = featureCount * shape.targetHiddenSize
        var declarations = [ParameterStore.Declaration.matrix([("fc.weight", shape.hiddenSize)], columns: width)]
        if shape.normBeforeFC { declarations.append(.vector("input_norm.weight", count: width)) }
        if shape.fcNorm {
            declarations += (0..<featureCount).map { .vector("fc_norm.\($0).weight", count: shape.targetHiddenSize) }
        }
        return declarations
    }

    /// - Parameter parameters: As `declarations` has them.
    init(_ shape: Eagle3DraftModel.Shape, _ parameters: [Parameter]) {
        let norms = parameters.dropFirst().map { RMSNorm(weight: $0, epsilon: shape.rmsNormEpsilon) }
        fc = Linear(weight: parameters[0])
        inputNorm = shape.normBeforeFC ? norms[0] : nil
        featureNorms = shape.fcNorm ? norms.suffix(Self.featureCount) : []
    }

    /// - Parameters:
    ///   - features: f, [rows, 3 targetHidden].
    ///   - hidden: h, [rows, hidden].
    func forward(_ features: Matrix, into hidden: Matrix, in workspace: Workspace) {
        workspace.scope {
            fc.forward(normalized(features, in: workspace).last, into: hidden)
        }
    }

    /// Adds to the gradients.
    func backward(_ dHidden: Matrix, features: Matrix, in workspace: Workspace) {
        workspace.scope {
            let inputs = normalized(features, in: workspace)
            guard inputNorm != nil || !featureNorms.isEmpty else {
                return fc.backward(dHidden, x: features, into: nil)
            }
            let gradient = workspace.matrix(rows: features.rows, columns: features.columns)
            fc.backward(dHidden, x: inputs.last, into: gradient)
            for (norm, columns) in zip(featureNorms, columns(features)) {
                let dx = gradient[columns: columns]
                norm.backward(
                    dx, x: inputs.first[columns: columns], into: inputNorm == nil ? nil : dx, in: workspace)
            }
            inputNorm?.backward(gradient, x: features, into: nil, in: workspace)
        }
    }

    /// What the features' norms are given, and what `fc` is.
    private func normalized(_ features: Matrix, in workspace: Workspace) -> (first: Matrix, last: Matrix) {
        var first = features
        if let inputNorm {
            first = workspace.matrix(rows: features.rows, columns: features.columns)
            inputNorm.forward(features, into: first)
        }
        guard !featureNorms.isEmpty else { return (first, first) }
        let last = workspace.matrix(rows: features.rows, columns: features.columns)
        for (norm, columns) in zip(featureNorms, columns(features)) {
            norm.forward(first[columns: columns], into: last[columns: columns])
        }
        return (first, last)
    }

    private func columns(_ features: Matrix) -> [Range<Int>] {
        let width = features.columns / Self.featureCount
        return (0..<Self.featureCount).map { $0 * width..<($0 + 1) * width }
    }
}

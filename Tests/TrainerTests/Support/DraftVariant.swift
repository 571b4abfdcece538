import Shared

@testable import Trainer

/// The forms of draft that a configuration can ask for: what tests of drafts run over.
enum DraftVariant: String, CaseIterable, Sendable {
    case plain
    case fcNorm = "fc_norm"
    case normBeforeFC = "norm_before_fc"
    case normBeforeResidual = "norm_before_residual"
    case normOutput = "norm_output"
    case twoLayers = "num_hidden_layers 2"
    /// Three layers and every norm.
    case everything

    /// What `config.json` says beside what is generated.
    var keys: [(String, JSONText)] {
        switch self {
        case .plain: []
        case .fcNorm, .normBeforeFC, .normBeforeResidual, .normOutput: [(rawValue, .bool(true))]
        case .twoLayers: [("num_hidden_layers", .int(2))]
        case .everything:
            [DraftVariant.fcNorm, .normBeforeFC, .normBeforeResidual, .normOutput].flatMap(\.keys)
                + [("num_hidden_layers", .int(3))]
        }
    }

    /// A target's draft of this form.
    func configuration(target: ModelConfiguration, draftVocabSize: Int) throws -> Eagle3Configuration {
        guard case .object(let members) = try Eagle3Configuration(target: target, draftVocabSize: draftVocabSize).json
        else { preconditionFailure("a configuration that is no object") }
        let own = keys
        let kept = members.filter { member in !own.contains { $0.0 == member.0 } }
        let text = JSONText.object(kept + own).compact
        return try Eagle3Configuration(JSONFile(contents: Array(text.utf8), path: "\(rawValue).json"), target: target)
    }

    /// A shape of this form.
    func applied(to shape: Eagle3DraftModel.Shape) -> Eagle3DraftModel.Shape {
        var shape = shape
        let every = self == .everything
        shape.fcNorm = every || self == .fcNorm
        shape.normBeforeFC = every || self == .normBeforeFC
        shape.normBeforeResidual = every || self == .normBeforeResidual
        shape.normOutput = every || self == .normOutput
        shape.numHiddenLayers = every ? 3 : self == .twoLayers ? 2 : 1
        return shape
    }
}

extension ParameterStore {
    /// Random weights: norms around 1, matrices around 0.
    func fillRandomly(seed: UInt64 = 3, scale: Float = 0.4) {
        var random = RandomNumbers(seed: seed)
        for parameter in parameters {
            let isNorm = parameter.weight.rows == 1
            random.fill(parameter.weight, scale: isNorm ? 0.3 : scale, around: isNorm ? 1 : 0)
        }
    }
}

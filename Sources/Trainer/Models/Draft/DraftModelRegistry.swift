import Shared

/// The drafts that can be trained, by the architecture that their `config.json` names.
///
/// To add one: a file that conforms to `DraftModel`, and a line here.
enum DraftModelRegistry {
    /// Makes a draft of zeros for sequences of that many positions, whose head is trained or not.
    typealias Make =
        @Sendable (
            Eagle3Configuration, _ positions: Int, _ freezesHead: Bool, Compute
        ) throws(JSONError) -> any DraftModel

    static let architectures: [String: Make] = [
        "LlamaForCausalLMEagle3": { (configuration, positions, freezesHead, compute) throws(JSONError) in
            Eagle3DraftModel(
                configuration.shape, rotary: try configuration.rotary(positions: positions), freezesHead: freezesHead,
                compute)
        }
    ]
}

extension Eagle3Configuration {
    /// The draft that the configuration describes, all zeros.
    func makeDraft(positions: Int, freezesHead: Bool = false, _ compute: Compute) throws(JSONError) -> any DraftModel {
        guard let make = DraftModelRegistry.architectures[architecture] else {
            preconditionFailure("a configuration of an architecture that isn't registered")
        }
        return try make(self, positions, freezesHead, compute)
    }
}

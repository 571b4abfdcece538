import Shared

/// The drafts that can be trained, by the architecture that their `config.json` names.
///
/// To add one: a file with a `DraftConfiguration` and the `DraftModel` that it makes, and a line here.
struct DraftRegistry: Sendable {
    static let standard = DraftRegistry([
        "LlamaForCausalLMEagle3": Eagle3Configuration.self,
        "DFlashDraftModel": DFlashConfiguration.self,
        "Qwen3DSparkModel": DFlashConfiguration.self,
    ])

    /// What a draft is trained as if nothing names an architecture.
    static let defaultArchitecture = "LlamaForCausalLMEagle3"

    let architectures: [String: any DraftConfiguration.Type]

    init(_ architectures: [String: any DraftConfiguration.Type]) { self.architectures = architectures }

    /// The names, for help and errors.
    var names: String { architectures.keys.sorted().joined(separator: ", ") }

    /// Reads a draft's configuration, of the architecture that it names: the default if it names none.
    ///
    /// - Parameters:
    ///   - file: As it was published.
    ///   - contents: What the draft's tensors say, if they are there.
    /// - Throws: `JSONError` that names the key that doesn't fit.
    func configuration(
        _ file: JSONFile, target: ModelConfiguration, contents: PublishedDraft.Contents? = nil
    ) throws(JSONError) -> any DraftConfiguration {
        let file = try PublishedDraft.configuration(file, contents)
        let node = file.root["architectures"]
        let name = try node?.elements.first?.asString() ?? Self.defaultArchitecture
        guard let type = architectures[name] else {
            let message = "is '\(name)', which isn't supported; supported: \(names)"
            throw node?.error(message) ?? JSONError("key 'architectures' \(message)", at: file.path)
        }
        return try type.init(file, target: target)
    }

    /// The configuration that training generates for a target.
    ///
    /// - Parameter engine: What will serve the draft, if that is decided.
    /// - Throws: `OptionsError` if the architecture isn't registered, or `JSONError`.
    func generated(
        _ architecture: String?, target: ModelConfiguration, draftVocabSize: Int?, for engine: InferenceEngine? = nil
    ) throws -> any DraftConfiguration {
        let name = architecture ?? Self.defaultArchitecture
        guard let type = architectures[name] else {
            throw OptionsError.rule("--draft-architecture is '\(name)', which isn't supported; supported: \(names)")
        }
        let generated = try type.generated(name, target: target, draftVocabSize: draftVocabSize)
        guard let layers = engine.flatMap({ generated.layersChosen(by: $0, target) }) else { return generated }
        let text = layers.written(to: generated.json).pretty
        return try type.init(JSONFile(contents: Array(text.utf8), path: "generated draft config"), target: target)
    }

    /// The options of training that architectures have of their own, a group for each kind.
    func trainingOptions() -> [any Options] {
        groups { $0.makeTrainingOptions() }
    }

    /// Those of them that a draft is measured by.
    func measuringOptions() -> [any Options] {
        groups { $0.makeMeasuringOptions() }
    }

    /// Architectures may have the same kind of options.
    private func groups(_ make: (any DraftConfiguration.Type) -> any Options) -> [any Options] {
        var kinds: Set<ObjectIdentifier> = []
        return architectures.sorted { $0.key < $1.key }.map { make($0.value) }.filter {
            kinds.insert(ObjectIdentifier(type(of: $0))).inserted
        }
    }
}

extension DraftConfiguration {
    fileprivate static func makeTrainingOptions() -> any Options { Training() }
    fileprivate static func makeMeasuringOptions() -> any Options { Training.Measuring() }
}

import Shared

/// The configuration of a draft architecture: its `config.json`, read or generated, and the draft that it describes.
///
/// An architecture is a type of this kind and a line in `DraftRegistry`. Its options on the command line are its own:
/// `Training.Measuring` are those that a draft is measured by as well, with `Trainer evaluate`.
protocol DraftConfiguration: Sendable {
    /// The options of training that the architecture has besides those of all drafts.
    associatedtype Training: DraftTrainingOptions

    /// Reads a draft's configuration and checks it against the target.
    ///
    /// - Throws: `JSONError` that names the key that is missing, that doesn't fit the target, or that would change what
    ///   the draft computes in a way that isn't supported.
    init(_ file: JSONFile, target: ModelConfiguration) throws(JSONError)

    /// The configuration that training generates for a target.
    ///
    /// - Parameters:
    ///   - architecture: The name in the registry.
    ///   - draftVocabSize: Tokens that the draft knows; nil for the architecture's default. More than the target's
    ///     vocabulary stand for all of it.
    static func generated(
        _ architecture: String, target: ModelConfiguration, draftVocabSize: Int?
    ) throws(JSONError) -> Self

    /// The target's layers whose outputs the draft sees, counted from 0: any number of them.
    var targetLayers: [Int] { get }
    /// Tokens of the target, and those of them that the draft knows.
    var vocabSize: Int { get }
    var draftVocabSize: Int { get }
    /// Everything that `config.json` will hold.
    var json: JSONText { get }
    /// The method's name, with which names of exported files begin.
    var method: String { get }
    /// Runs by which `Trainer plan` says what to expect, from the fewest tokens to the most; empty for none.
    static var publishedRuns: [PublishedRun] { get }
    /// The layers that an engine gives to such a draft whatever its configuration says; nil if it reads that.
    func layersChosen(by engine: InferenceEngine, _ target: ModelConfiguration) -> AuxiliaryLayers?

    /// The keys of `config.json` that an engine doesn't know and the draft depends on.
    func lackingOptions(of engine: InferenceEngine) -> [String]

    /// What llama.cpp's GGUF holds of the draft besides weights, tokens and a name; nil if there is no such form of it.
    func ggufForm() throws(JSONError) -> GGUFDraftForm?

    /// Whether its head is given what the target's own is given, and so the draft can learn that too (`FeatureAlignment`).
    ///
    /// - Parameter freezesHead: Whether a head of the draft's own stays as the target's is.
    func canAlignFeatures(freezesHead: Bool) -> Bool

    /// The draft that the configuration describes, all zeros.
    func makeDraft(_ training: Training, _ settings: DraftSettings, _ compute: Compute) throws(JSONError)
        -> any DraftModel
}

/// An architecture's own options of training, as a group of a command's.
protocol DraftTrainingOptions: Options {
    associatedtype Measuring: Options
    /// Those that a draft is measured by too.
    var measuring: Measuring { get set }
}

/// Of an architecture that has none.
struct NoOptions: DraftTrainingOptions {
    var measuring: NoOptions {
        get { self }
        set {}
    }
}

/// What drafts of every architecture are made with.
struct DraftSettings {
    /// The longest sequence of the target, in tokens.
    var positions: Int
    /// Whether the head isn't trained.
    var freezesHead = false
    /// Whether the head isn't taken from the target.
    var startsFromRandomHead = false
    /// What is minimised.
    var objective = DraftObjective.crossEntropy
}

/// What an architecture says of its drafts' form in GGUF.
struct GGUFDraftForm {
    /// llama.cpp's name of the architecture, with which its keys begin.
    let architecture: String
    /// The keys of the architecture.
    let metadata: GGUFMetadata
    /// llama.cpp's name of each of the draft's weights.
    let names: [String: String]
    /// The row of a weight that is to be its n-th one; nil if they keep their order.
    let rowOrder: (_ weight: String) -> [Int]?
    /// Vectors that are no weights of the draft, by llama.cpp's names.
    let constants: [(name: String, values: [Float])]
    /// The token that stands for those that are to be drafted; nil if none does.
    var maskToken: Int32?
}

extension DraftConfiguration {
    var method: String { "draft" }
    static var publishedRuns: [PublishedRun] { [] }
    func ggufForm() throws(JSONError) -> GGUFDraftForm? { nil }
    func canAlignFeatures(freezesHead: Bool) -> Bool { false }

    func layersChosen(by engine: InferenceEngine, _ target: ModelConfiguration) -> AuxiliaryLayers? {
        engine.layers(of: target)
    }

    /// The draft, by its own group of a command's options; by their defaults if there is none.
    func makeDraft(_ groups: [any Options], _ settings: DraftSettings, _ compute: Compute) throws(JSONError)
        -> any DraftModel
    {
        try makeDraft(Self.training(in: groups), settings, compute)
    }

    private static func training(in groups: [any Options]) -> Training {
        var training = Training()
        for group in groups {
            if let own = group as? Training { return own }
            if let measuring = group as? Training.Measuring { training.measuring = measuring }
        }
        return training
    }

    /// The group of options that is the architecture's own.
    func own(_ groups: [any Options]) -> (any Options)? {
        groups.first { $0 is Training || $0 is Training.Measuring }
    }

    /// The groups of options that other architectures have.
    func foreign(_ groups: [any Options]) -> [any Options] {
        groups.filter { !($0 is Training || $0 is Training.Measuring) }
    }

    /// Refuses options of other architectures, which have no effect.
    ///
    /// - Throws: `OptionsError` that names them.
    func expectOwn(_ groups: [any Options]) throws(OptionsError) {
        for group in foreign(groups) {
            guard let option = group.typed.first else { continue }
            throw .rule("\(option) has no effect: it isn't an option of this draft's architecture")
        }
    }
}

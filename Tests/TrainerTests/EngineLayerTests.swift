import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Which of the target's layers an engine gives to a draft, by each engine's own rule.
///
/// - vLLM's V1 runner: `_get_eagle3_aux_layers_from_config` and `SupportsEagle3`, where id k is the output of layer k − 1.
/// - vLLM's V2 runner: `eagle3_utils.py`.
/// - SGLang: `spec_aux_hidden_state.py` reads `eagle_config` first, and `set_eagle3_layers_to_capture` adds 1 to ids.
/// - llama.cpp's converter: `conversion/llama.py`; its loader takes inputs of layers from `eagle3.target_layers`.
struct EngineLayerTests {
    private enum Rule: String, CaseIterable {
        case vllmV1, vllmV2, sglang, llamaCppConverter

        /// The layers whose outputs the draft gets.
        func outputs(_ root: JSONNode, layers n: Int) throws -> [Int] {
            let ids = { (node: JSONNode?) throws -> [Int]? in try node?.elements.map { try $0.asInt() } }
            let top = try ids(root["eagle_aux_hidden_state_layer_ids"])
            let nested = try ids(root["eagle_config"]?["eagle_aux_hidden_state_layer_ids"])
            let inputsByDefault = [2, n / 2, n - 3]
            let inputs =
                switch self {
                case .vllmV1: top ?? nested ?? inputsByDefault
                case .vllmV2: try top ?? ids(root["eagle_config"]?["layer_ids"]) ?? inputsByDefault
                case .sglang: (nested ?? top).map { $0.map { $0 + 1 } } ?? inputsByDefault
                case .llamaCppConverter: top ?? inputsByDefault
                }
            return inputs.map { $0 - 1 }
        }
    }

    private static let target = Fixtures.folder.appending(path: "targets/llama").path

    /// A Llama of some layers.
    private static func target(layers: Int) throws -> ModelConfiguration {
        let file = try JSONFile("\(target)/config.json")
        let text = withExtendedLifetime(file) { JSONText(file.root.value) }
        return try ModelConfiguration(json(text.setting("num_hidden_layers", .int(layers))))
    }

    private static func json(_ text: JSONText) throws -> JSONFile {
        try JSONFile(contents: Array(text.pretty.utf8), path: "config.json")
    }

    @Test(arguments: [6, 12, 28, 30, 36, 64])
    func everyEngineReadsTheLayersThatWereTrainedByDefault(layers: Int) throws {
        let configuration = try Eagle3Configuration(target: Self.target(layers: layers), draftVocabSize: 96)
        #expect(configuration.targetLayers == [1, layers / 2 - 1, layers - 4])
        for rule in Rule.allCases {
            let read = try rule.outputs(Self.json(configuration.json).root, layers: layers)
            #expect(read == configuration.targetLayers, "\(rule.rawValue)")
        }
    }

    @Test(arguments: [[0, 1, 2], [2, 15, 27], [5, 5, 29], [29, 3, 14]])
    func everyEngineReadsTheLayersThatWereChosen(outputs: [Int]) throws {
        let target = try Self.target(layers: 30)
        let plain = try Eagle3Configuration(target: target, draftVocabSize: 96)
        let chosen = AuxiliaryLayers(outputs: outputs).written(to: plain.json)
        let configuration = try Eagle3Configuration(Self.json(chosen), target: target)
        #expect(configuration.targetLayers == outputs)
        for rule in Rule.allCases {
            #expect(try rule.outputs(Self.json(configuration.json).root, layers: 30) == outputs, "\(rule.rawValue)")
        }
    }

    /// What drafts of others have, for a target of 30 layers: the keys, and the layers whose outputs they were trained on.
    @Test(
        arguments: [
            (#"{}"#, [1, 14, 26]),
            (#"{"eagle_aux_hidden_state_layer_ids": null, "eagle_config": {}}"#, [1, 14, 26]),
            (#"{"eagle_aux_hidden_state_layer_ids": [2, 15, 27]}"#, [1, 14, 26]),
            (#"{"eagle_aux_hidden_state_layer_ids": [1, 8, 30]}"#, [0, 7, 29]),
            (#"{"eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 14, 26]}}"#, [1, 14, 26]),
            (#"{"eagle_config": {"eagle_aux_hidden_state_layer_ids": [2, 14, 26]}}"#, [2, 14, 26]),
            // The engines' default of inputs, in the place of outputs.
            (#"{"eagle_config": {"eagle_aux_hidden_state_layer_ids": [2, 15, 27]}}"#, [1, 14, 26]),
            (
                #"{"eagle_aux_hidden_state_layer_ids": [2, 15, 27], "eagle_config": {"eagle_aux_hidden_state_layer_ids": [2, 15, 27]}}"#,
                [1, 14, 26]
            ),
            (
                #"{"eagle_aux_hidden_state_layer_ids": [3, 16, 28], "eagle_config": {"eagle_aux_hidden_state_layer_ids": [2, 15, 27]}}"#,
                [2, 15, 27]
            ),
        ] as [(String, [Int])])
    func layersOfOtherTrainersAreWhatTheyWereTrainedOn(keys: String, outputs: [Int]) throws {
        let file = try JSONFile(contents: Array(keys.utf8), path: "config.json")
        let layers = try AuxiliaryLayers(file.root, ofLayers: 30)
        #expect(layers.outputs == outputs)
        // And as they are written again, all engines agree.
        let text = withExtendedLifetime(file) { JSONText(file.root.value) }
        let written = try Self.json(layers.written(to: text)).root
        for rule in Rule.allCases { #expect(try rule.outputs(written, layers: 30) == outputs, "\(rule.rawValue)") }
    }

    @Test(arguments: [
        (#"{"eagle_aux_hidden_state_layer_ids": [0, 1, 5]}"#, "the embedding, isn't supported"),
        (#"{"eagle_aux_hidden_state_layer_ids": [1, 5, 31]}"#, "1 to 30"),
        (#"{"eagle_aux_hidden_state_layer_ids": [1, 5]}"#, "three layers"),
        (#"{"eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 5, 30]}}"#, "three layers of the target's 30"),
        (#"{"eagle_config": {"eagle_aux_hidden_state_layer_ids": 3}}"#, "should be an array"),
        (
            #"{"eagle_aux_hidden_state_layer_ids": [3, 4, 5], "eagle_config": {"eagle_aux_hidden_state_layer_ids": [3, 4, 5]}}"#,
            "should name the same layers"
        ),
    ])
    func layersThatCannotBeAreRefusedByTheirKey(keys: String, message: String) throws {
        let root = try JSONFile(contents: Array(keys.utf8), path: "config.json").root
        let error = #expect(throws: JSONError.self) { try AuxiliaryLayers(root, ofLayers: 30) }
        let text = "\(try #require(error))"
        #expect(text.contains(AuxiliaryLayers.key) && text.contains(message))
    }

    // It takes the outputs of its default layers, whatever the draft's configuration says.
    @Test func aDraftForOpenVINOSeesTheLayersThatOpenVINOGives() throws {
        let configuration = try DraftRegistry.standard.generated(
            nil, target: Self.target(layers: 30), draftVocabSize: 96, for: .openVINO)
        #expect(configuration.targetLayers == [2, 15, 27])
        #expect(InferenceEngine.openVINO.layers(of: try Self.target(layers: 9)) == nil)
    }
}

/// The table of engines against the targets that can be trained and the drafts that can be.
struct InferenceEngineTests {
    @Test func everyTargetThatCanBeTrainedIsInTheTable() {
        let known = InferenceEngine.families.flatMap(\.architectures)
        for architecture in TargetModelRegistry.architectures.keys.sorted() {
            #expect(known.contains(architecture), "\(architecture): which engines serve drafts for it?")
        }
        #expect(Set(known).count == known.count)
    }

    @Test func theTablesKnowEachMethodThatTrainingGenerates() throws {
        let target = try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
        for architecture in DraftRegistry.standard.architectures.keys {
            let draft = try DraftRegistry.standard.generated(architecture, target: target, draftVocabSize: 96)
            #expect(InferenceEngine.methods.contains { $0.method == draft.method }, "\(architecture)")
        }
    }

    @Test(arguments: InferenceEngine.allCases, InferenceEngine.families.map(\.architectures[0]))
    func whatAnEngineCannotServeIsAnErrorThatNamesWhoDoes(engine: InferenceEngine, architecture: String) throws {
        let file = try JSONFile(Fixtures.folder.appending(path: "targets/llama/config.json").path)
        let text = withExtendedLifetime(file) {
            JSONText(file.root.value).setting("architectures", .array([.string(architecture)]))
        }
        let target = try ModelConfiguration(JSONFile(contents: Array(text.pretty.utf8), path: "config.json"))
        let draft = try Eagle3Configuration(target: target, draftVocabSize: 96)
        let family = try #require(InferenceEngine.families.first { $0.architectures.contains(architecture) })
        let options = try DraftOptions.parse(["--serve-with", engine.rawValue])
        if family.engines.contains(engine) {
            #expect(engine.obstacle(target, draft) == nil)
            try options.checkEngines(target, draft)
        } else {
            let error = #expect(throws: DraftNotServed.self) { try options.checkEngines(target, draft) }
            let message = "\(try #require(error))"
            #expect(message.contains(engine.name) && message.contains(family.name))
            for other in family.engines { #expect(message.contains(other.name)) }
        }
        // Without the option there is a warning, and training goes on.
        try DraftOptions.parse([]).checkEngines(target, draft)
    }

    @Test func helpAndDocumentationHaveTheTable() throws {
        for engine in InferenceEngine.allCases { #expect(InferenceEngine.summary.contains(engine.version)) }
        let root = Fixtures.folder.deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "Documentation/Engines.md"), encoding: .utf8)
        #expect(
            text.contains(InferenceEngine.tables), "Documentation/Engines.md should have:\n\(InferenceEngine.tables)")
    }
}

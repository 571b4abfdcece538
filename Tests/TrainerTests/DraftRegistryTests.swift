import Shared
import TestSupport
import Testing

@testable import Trainer

/// Architectures side by side: each has its options, and another's are refused.
struct DraftRegistryTests {
    /// EAGLE-3 under another name, with options of another kind.
    private struct Other: DraftConfiguration {
        struct Options: DraftTrainingOptions {
            struct Measuring: Shared.Options {
                @Option("Anchors of a sequence.", in: 1...64) var anchors: Int = 8
            }
            var measuring = Measuring()
            @Option("How fast weights fall.", in: 0...1) var blockDecay: Float = 0.5
        }

        let base: Eagle3Configuration

        init(_ file: JSONFile, target: ModelConfiguration) throws(JSONError) {
            base = try Eagle3Configuration(file, target: target)
        }

        private init(_ base: Eagle3Configuration) { self.base = base }

        static func generated(
            _ architecture: String, target: ModelConfiguration, draftVocabSize: Int?
        ) throws(JSONError) -> Other {
            Other(try .generated(architecture, target: target, draftVocabSize: draftVocabSize))
        }

        var targetLayers: [Int] { base.targetLayers }
        var vocabSize: Int { base.vocabSize }
        var draftVocabSize: Int { base.draftVocabSize }
        var json: JSONText { base.json }
        func lackingOptions(of engine: InferenceEngine) -> [String] { [] }

        func makeDraft(
            _ training: Options, _ settings: DraftSettings, _ compute: Compute
        ) throws(JSONError) -> any DraftModel {
            var own = Eagle3Options()
            own.measuring = Eagle3MeasuringOptions()
            let draft = try base.makeDraft(own, settings, compute)
            return (draft as? Eagle3DraftModel)?.with(
                Eagle3Training(tttLength: training.measuring.anchors, lossDecay: training.blockDecay)) ?? draft
        }
    }

    private static let registry = DraftRegistry([
        "LlamaForCausalLMEagle3": Eagle3Configuration.self, "Other": Other.self, "Another": Other.self,
    ])

    private struct Command: Options {
        var own = DraftRegistryTests.registry.trainingOptions()
        @Option("A draft.") var path: String?
    }

    private struct Evaluate: Options {
        var own = DraftRegistryTests.registry.measuringOptions()
    }

    private func target() throws -> ModelConfiguration {
        try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
    }

    @Test func aCommandHasTheOptionsOfAllArchitecturesOnce() throws {
        #expect(
            Command.names == [
                "--anchors", "--block-decay", "--ttt-length", "--ttt-loss-decay", "--loss-mask-alignment", "--path",
            ])
        #expect(Evaluate.names == ["--anchors", "--ttt-length"])
        #expect(throws: OptionsError.outOfRange("65", for: "--anchors", range: "1 to 64")) {
            try Command.parse(["--anchors", "65"])
        }
    }

    @Test func aDraftIsMadeByItsOwnOptions() throws {
        let compute = Compute.test
        let settings = DraftSettings(positions: 8)
        let other = try Self.registry.generated("Other", target: target(), draftVocabSize: 96)
        let eagle = try Self.registry.generated(nil, target: target(), draftVocabSize: 96)
        #expect(other is Other && eagle is Eagle3Configuration)
        let options = try Command.parse(["--anchors", "3", "--ttt-length", "5"])
        #expect(try other.makeDraft(options.own, settings, compute).positionCount == 3)
        #expect(try eagle.makeDraft(options.own, settings, compute).positionCount == 5)
        let measured = try Evaluate.parse(["--anchors", "4"])
        #expect(try other.makeDraft(measured.own, settings, compute).positionCount == 4)
        #expect(try eagle.makeDraft(measured.own, settings, compute).positionCount == 7)
        // What a run notes of its options are those of its draft.
        #expect(other.own(options.own)?.described.map(\.name) == ["--anchors", "--block-decay"])
    }

    @Test func optionsOfAnotherArchitectureAreRefusedByTheirName() throws {
        let other = try Self.registry.generated("Other", target: target(), draftVocabSize: 96)
        try other.expectOwn(Command.parse(["--anchors", "3"]).own)
        for arguments in [["--ttt-length", "5"], ["--anchors", "3", "--ttt-loss-decay", "0.5"]] {
            let groups = try Command.parse(arguments).own
            let error = #expect(throws: OptionsError.self) { try other.expectOwn(groups) }
            #expect(error.map { "\($0)".hasPrefix("--ttt-l") } == true)
        }
        let measured = try Evaluate.parse(["--ttt-length", "5"]).own
        #expect(throws: OptionsError.self) { try other.expectOwn(measured) }
    }

    /// What would have no effect is refused, before a store or weights are looked for.
    @Test(arguments: [
        (["plan", "--draft-model-config", "c.json"], "--draft-architecture has no effect beside a config.json"),
        (
            ["evaluate", "--eval-data-path", "d", "--draft-model-path", "m"],
            "have no effect beside --draft-model-path"
        ),
    ])
    func anArchitectureBesideAConfigurationIsRefused(arguments: [String], message: String) throws {
        let target = Fixtures.folder.appending(path: "targets/llama").path
        let run = try ProgramRun(
            "Trainer",
            arguments + ["--target-model-path", target, "--draft-architecture", DraftRegistry.defaultArchitecture]
        ).finish()
        #expect(run.code == 64 && run.errors.contains(message), "\(run.code) \(run.errors)")
    }

    @Test func anArchitectureThatIsNotRegisteredIsRefusedWithThoseThatAre() throws {
        let error = #expect(throws: OptionsError.self) {
            try Self.registry.generated("Medusa", target: target(), draftVocabSize: nil)
        }
        let message = error.map { "\($0)" } ?? ""
        #expect(
            message.contains("'Medusa'") && message.contains("Another, LlamaForCausalLMEagle3, Other"), "\(message)")
        let run = try ProgramRun(
            "Trainer",
            [
                "config", "--target-model-path", Fixtures.folder.appending(path: "targets/llama").path,
                "--draft-architecture", "Medusa",
            ]
        ).finish()
        #expect(
            run.code == 64 && run.errors.contains("supported: ") && run.errors.contains("LlamaForCausalLMEagle3"),
            "\(run.errors)")
    }
}

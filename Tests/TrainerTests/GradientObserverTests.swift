import Shared
import Testing

@testable import Trainer

/// Ranks exchange gradients while the backward pass runs: what it calls final never changes again.
struct GradientObserverTests {
    /// Keeps the gradients that are said to be final, as they are then.
    private final class Notes: GradientObserver {
        let store: ParameterStore
        private(set) var said: [(first: Int, gradients: [Float])] = []

        init(_ store: ParameterStore) { self.store = store }

        func areFinal(from parameter: Parameter) {
            guard let start = store.gradients.baseAddress else { return }
            let first = parameter.gradient.start - start
            said.append((first, Array(store.gradients[first...])))
        }

        func poll() {}
    }

    @Test(arguments: DraftVariant.allCases)
    func whatIsFinalStaysAsItIs(variant: DraftVariant) throws {
        let run = try GoldenRun("llama")
        let trainer = try run.trainer(AbsentRanks(), variant: variant)
        let store = trainer.draft.parameters
        let notes = Notes(store)
        _ = trainer.run(
            [run.samples], weights: LossWeights(sequences: run.samples.map { _ in 1 }, observer: notes),
            in: Workspace())
        for (first, gradients) in notes.said { #expect(gradients == Array(store.gradients[first...])) }
        // From the head to the first projection of the first layer; `fc` and norms around it end with the pass itself.
        #expect(notes.said.map(\.first) == notes.said.map(\.first).sorted(by: >))
        let start = try #require(store.gradients.baseAddress)
        let projection = try #require(store.parameters.first { $0.parts[0].name == "midlayer.self_attn.q_proj.weight" })
        #expect(notes.said.last?.first == projection.gradient.start - start)
    }
}

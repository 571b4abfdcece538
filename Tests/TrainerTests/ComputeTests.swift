import Shared
import TestSupport
import Testing

@testable import Trainer

/// Ways to compute, side by side in one process: eight threads as one, and bfloat16 as float32 but for its rounding.
struct ComputeTests {
    /// The gradients of a draft after a batch, by name.
    private func gradients(_ compute: Compute) throws -> [(name: String, values: [Float])] {
        let run = try GoldenRun("llama")
        let workspace = Workspace(compute)
        let trainer = try run.trainer(AbsentRanks(), compute)
        for sample in run.samples.prefix(4) {
            let weights = LossWeights(sequences: [1 / Float(sample.inputIDs.count)])
            _ = trainer.run([[sample]], weights: weights, in: workspace)
        }
        return trainer.draft.parameters.parameters.map { ($0.parts[0].name, $0.gradient.elements) }
    }

    @Test func eightThreadsGiveTheGradientsOfOne() throws {
        for (one, eight) in zip(try gradients(Compute()), try gradients(Compute(threads: 8))) {
            #expect(one.values.contains { $0 != 0 })
            expectClose(eight.values, one.values, tolerance: 1e-5, one.name)
        }
    }

    /// Direction by cosine, and each element within a few roundings of what is typical of its tensor.
    @Test(.needsBFloat16)
    func gradientsInBFloat16PointWhereThoseInFloat32Do() throws {
        for (exact, rounded) in zip(try gradients(Compute()), try gradients(Compute(precision: .bfloat16))) {
            let dot = zip(exact.values, rounded.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            let squares = [exact.values, rounded.values].map { $0.reduce(0.0) { $0 + Double($1) * Double($1) } }
            let cosine = dot / (squares[0] * squares[1]).squareRoot()
            #expect(cosine > 0.999, "\(exact.name): cosine \(cosine)")
            let typical = (squares[0] / Double(exact.values.count)).squareRoot()
            let worst = zip(exact.values, rounded.values).reduce(0.0) { max($0, abs(Double($1.0 - $1.1))) }
            let largest = exact.values.reduce(0.0) { max($0, abs(Double($1))) }
            #expect(worst <= 0.05 * max(largest, typical), "\(exact.name): off by \(worst) of \(largest)")
            #expect(worst > 0, "\(exact.name) was rounded nowhere")
        }
    }

    @Test func matricesAreComputedWithByWhoMadeTheirMemory() throws {
        let (one, other) = (Compute(threads: 3), Compute(precision: .bfloat16, library: .openblas, hasFixedCuts: true))
        #expect(one.threads == 3 && one.precision == .float32 && !one.hasFixedCuts)
        #expect(other.gemmLibrary == .openblas && other.hasFixedCuts && other.with(threads: 5).threads == 5)
        let matrix = Workspace(one).matrix(rows: 4, columns: 6)
        #expect(matrix[rows: 1..<3][columns: 2..<4].compute.threads == 3)
        let store = ParameterStore([.matrix([("w", 4)], columns: 8)], other)
        #expect(store.parameters[0].rounded != nil && store.parameters[0].weight.compute.gemmLibrary == .openblas)
        let plain = ParameterStore([.matrix([("w", 4)], columns: 8)], one)
        #expect(plain.parameters[0].rounded == nil)
    }

    /// A list of arguments that is shorter on a lesser CPU is reported as passed, though what is left out wasn't tested.
    @Test func whatNeedsBFloat16IsSkippedWhereItIsMissing() throws {
        let folder = Fixtures.folder.deletingLastPathComponent().appending(path: "Tests/TrainerTests").path
        let sources = try listDirectory(folder).filter { $0.hasSuffix(".swift") && $0 != "ComputeTests.swift" }
        #expect(sources.count > 40)
        for name in sources {
            let text = String(decoding: try readFile("\(folder)/\(name)"), as: UTF8.self)
            #expect(!text.contains("hasBFloat16") && !text.contains("allCases : [.float32]"), "\(name)")
        }
    }

    /// Ranks of unequal CPUs would compute different numbers from the same weights: all of them refuse.
    @Test func ranksAgreeOnAPrecision() throws {
        for (supporting, expected) in [(0, MatrixPrecision.float32), (2, nil), (3, .bfloat16)] {
            let found = try ThreadCommunicator.run(3) { world -> MatrixPrecision? in
                do {
                    return try Ranks.precision(.bfloat16, isSupported: world.rank < supporting, world)
                } catch {
                    #expect("\(error)".contains("only 2 of 3 ranks"))
                    return nil
                }
            }
            #expect(found == [expected, expected, expected])
        }
    }
}

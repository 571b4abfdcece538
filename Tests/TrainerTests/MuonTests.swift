import Shared
import TestSupport
import Testing

@testable import Trainer

/// Muon: torch's steps, orthogonal directions, and the same weights for any number of ranks and threads.
struct MuonTests {
    /// Two hidden matrices, one wide and one of two tensors, beside a head, a norm and a frozen matrix.
    private static func store(_ compute: Compute = .test, seed: UInt64 = 5) -> ParameterStore {
        let store = ParameterStore(
            [
                .matrix([("wide", 33)], columns: 170), .vector("norm", count: 33),
                .matrix([("tall", 120), ("square", 40)], columns: 40),
                .matrix([("head", 90)], columns: 33, isOfVocabulary: true),
                .matrix([("frozen", 20)], columns: 20, isFrozen: true),
            ], compute)
        var random = RandomNumbers(seed: seed)
        for parameter in store.parameters { random.fill(parameter.weight) }
        for parameter in store.parameters where !parameter.isFrozen { random.fill(parameter.gradient) }
        return store
    }

    @Test func stepsAreTorchs() throws {
        let workspace = Workspace()
        let golden = LayerGolden(
            file: try SafetensorsFile(Fixtures.folder.appending(path: "layers/muon.safetensors").path),
            workspace: workspace)
        let store = ParameterStore([.matrix([("wide", 6)], columns: 10), .matrix([("tall", 17)], columns: 5)])
        let named = Array(zip(["wide", "tall"], store.parameters))
        for (name, parameter) in named { parameter.weight.copy(from: try golden.matrix("\(name)_parameters_0")) }
        let muon = Muon.Settings(
            momentum: try golden.number("momentum"), weightDecay: try golden.number("weight_decay"))
        let optimizer = ShardedOptimizer(store, .init(), muon: muon, AbsentRanks())
        for step in 0..<4 {
            for (name, parameter) in named {
                parameter.gradient.copy(from: try golden.matrix("\(name)_gradients_\(step)"))
            }
            optimizer.update(
                learningRate: try golden.row("learning_rates")[0, step], gradientFactor: 1, in: workspace)
            for (name, parameter) in named {
                expectClose(
                    parameter.weight.elements, try golden.matrix("\(name)_parameters_\(step + 1)").elements,
                    tolerance: 1e-5, "\(name) after step \(step + 1)")
            }
        }
    }

    /// Each singular value comes close to one, and the vectors stay.
    @Test(arguments: [(24, 24), (16, 40), (40, 16)])
    func singularValuesBecomeAboutOne(rows: Int, columns: Int) {
        let workspace = Workspace()
        var random = RandomNumbers(seed: 11)
        let x = workspace.matrix(rows: rows, columns: columns)
        random.fill(x)
        let before = workspace.matrix(rows: rows, columns: columns)
        before.copy(from: x)
        let result = Orthogonalization.orthogonalize(x, in: workspace)
        // Its gram matrix has eigenvalues of 0.68² to 1.2² or so: none of its quadratic forms is outside.
        let side = min(rows, columns)
        for _ in 0..<20 {
            let v = (0..<side).map { _ in Double(random.uniform()) }
            var sum = 0.0
            for other in 0..<max(rows, columns) {
                var dot = 0.0
                for i in 0..<side { dot += v[i] * Double(rows > columns ? result[other, i] : result[i, other]) }
                sum += dot * dot
            }
            let ratio = sum / v.reduce(0) { $0 + $1 * $1 }
            #expect((0.3...1.6).contains(ratio), "\(ratio)")
        }
        // It is turned towards what it was made of: ⟨X, O⟩ is nearly the sum of X's singular values, which isn't less
        // than its norm.
        let product = zip(before.elements, result.elements).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let norm = before.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(product > norm)
    }

    @Test func nothingBecomesOfZero() {
        let workspace = Workspace()
        let result = Orthogonalization.orthogonalize(workspace.zeros(rows: 9, columns: 20), in: workspace)
        #expect(result.elements.allSatisfy { $0 == 0 })
    }

    /// Head, norm and frozen weights are what AdamW makes of them; hidden matrices aren't.
    @Test func onlyHiddenMatricesAreItsOwn() {
        let (muon, adam) = (Self.store(), Self.store())
        for (store, settings) in [(muon, Muon.Settings()), (adam, nil)] {
            let optimizer = ShardedOptimizer(store, .init(weightDecay: 0.1), muon: settings, AbsentRanks())
            for _ in 0..<2 { optimizer.update(learningRate: 1e-2, gradientFactor: 0.5, in: Workspace()) }
        }
        let first = Self.store()
        for index in muon.parameters.indices {
            let elements = [muon, adam, first].map { $0.parameters[index].weight.elements }
            #expect((elements[0] == elements[1]) == !muon.parameters[index].isHidden, "parameter \(index)")
            #expect((elements[0] == elements[2]) == muon.parameters[index].isFrozen, "parameter \(index)")
        }
        #expect(muon.parameters.map(\.isHidden) == [true, false, true, false, false])
    }

    @Test(arguments: [1, 2, 3, 5, 8])
    func ranksHoldTheWeightsOfOneThatUpdatesAll(ranks: Int) throws {
        let settings = Muon.Settings(weightDecay: 0.1)
        let together = try ThreadCommunicator.run(ranks) { world in
            let store = Self.store()
            let sharded = ShardedOptimizer(
                store, .init(weightDecay: 0.1), muon: settings, world, bucketSize: Sharding.pieceSize)
            for _ in 0..<3 {
                // As a backward pass leaves it: what the last update put there is gone.
                _ = store.gradients.update(from: Self.store().gradientValues)
                sharded.update(learningRate: 1e-2, gradientFactor: 0.5, in: Workspace())
            }
            return store.weightValues
        }
        let reference = Self.store()
        let again = ShardedOptimizer(reference, .init(weightDecay: 0.1), muon: settings, AbsentRanks())
        for _ in 0..<3 {
            _ = reference.gradients.update(from: Self.store().gradientValues)
            again.update(learningRate: 1e-2, gradientFactor: 0.5, in: Workspace())
        }
        for weights in together { #expect(weights == reference.weightValues) }
    }

    @Test(arguments: [2, 8, 64])
    func threadsDontChangeIt(threads: Int) {
        let stores = [Self.store(Compute()), Self.store(Compute(threads: threads, hasFixedCuts: true))]
        for store in stores {
            let optimizer = ShardedOptimizer(store, .init(), muon: Muon.Settings(), AbsentRanks())
            optimizer.update(learningRate: 1e-2, gradientFactor: 1, in: Workspace(store.compute))
        }
        expectClose(stores[1].weightValues, stores[0].weightValues, tolerance: 1e-5, "\(threads) threads")
    }

    /// The work of every rank is at most the largest tensor's more than the mean.
    @Test(arguments: [1, 2, 3, 16])
    func tensorsAreDealtByTheirWork(ranks: Int) {
        let tensors = Muon.deal(Self.store(), ranks: ranks)
        #expect(tensors.map(\.rows) == [33, 120, 40])
        var work = [Double](repeating: 0, count: ranks)
        for tensor in tensors { work[tensor.owner] += tensor.work }
        let mean = work.reduce(0, +) / Double(ranks)
        #expect((work.max() ?? 0) <= mean + (tensors.map(\.work).max() ?? 0))
    }
}

import Shared
import TestSupport
import Testing

@testable import Trainer

/// Targets against transformers: hidden states of every layer and logits, undivided and divided among ranks.
struct TargetGoldenTests {
    static let tpSizes = [1, 2, 3, 4]

    /// Folders whose layers have experts.
    static let withExperts = TargetGolden.families.filter { family in
        let layers = (try? TargetGolden(family).description)?.layers ?? []
        return layers.contains { layer in
            switch layer.feedForward {
            case .experts, .both: true
            case .dense, .none: false
            }
        }
    }

    /// The others: with rounded numbers a router may choose another expert.
    static let dense = TargetGolden.families.filter { !withExperts.contains($0) }

    @Test func everyArchitectureHasAGolden() throws {
        guard Fixtures.goldens == Fixtures.folder else { return }
        let tested = try TargetGolden.families.flatMap {
            try ModelConfiguration(directory: TargetGolden($0).directory).architectures
        }
        #expect(Set(tested) == Set(TargetModelRegistry.architectures.keys))
    }

    @Test(arguments: TargetGolden.families, tpSizes)
    func hiddenStatesAndLogitsEqualTransformers(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        let vocabularies = try ThreadCommunicator.run(tpSize) { communicator in
            try golden.expectEqual(golden.load(communicator, Compute.Way.eightThreads.compute))
            let target = try golden.load(communicator)
            try golden.expectEqual(target)
            return target.vocabulary
        }
        #expect(vocabularies.reduce(0) { $0 + $1.count } == golden.logits.shape.last)
    }

    /// bfloat16 has 8 bits: each of a few layers adds its rounding.
    @Test(.needsBFloat16, arguments: dense, [1, 3])
    func inBFloat16TheyDifferByItsRounding(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        _ = try ThreadCommunicator.run(tpSize) { communicator in
            try golden.expectEqual(golden.load(communicator, Compute.Way.bfloat16.compute), tolerance: 3e-2)
        }
    }

    @Test(arguments: withExperts, tpSizes)
    func wholeExpertsOnEachRankGiveTheSame(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        let counts = try ThreadCommunicator.run(tpSize) { communicator in
            let target = try golden.load(communicator, expertParallel: true)
            try golden.expectEqual(target)
            return target.layers.reduce(0) { $0 + $1.expertCount }
        }
        let whole = try golden.load(AbsentRanks()).layers.reduce(0) { $0 + $1.expertCount }
        #expect(counts.reduce(0, +) == whole && whole > 0)
    }

    /// Once where a layer has one part, or adds both at once.
    @Test(arguments: TargetGolden.families)
    func aLayerCommunicatesTwice(family: String) throws {
        let golden = try TargetGolden(family)
        let counting = CountingCommunicator()
        let target = try golden.load(counting)
        let before = counting.sums
        try golden.expectEqual(target)
        let embeddings = target.description.perLayerInputs == nil ? 1 : 2
        let layers = target.description.layers.reduce(0) { sum, layer in
            if target.description.isParallel { return sum + 1 }
            var parts = 2
            if case .none = layer.mixer { parts -= 1 }
            if case .none = layer.feedForward { parts -= 1 }
            return sum + parts
        }
        #expect(counting.sums - before == embeddings + layers, "embeddings, and each part of each layer")
    }
}

/// One process that counts its all-reduces.
private final class CountingCommunicator: Communicator, @unchecked Sendable {
    private let process = AbsentRanks()
    private(set) var sums = 0

    var rank: Int { 0 }
    var size: Int { 1 }
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) { sums += 1 }
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) { sums += 1 }
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) {}
    func allGather(_ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>) {
        process.allGather(values, into: all)
    }
    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) {
        process.allToAll(send, sendCounts, into: receive, receiveCounts)
    }
    func startExchange(_ exchange: Exchange) -> any PendingExchange { process.startExchange(exchange) }
    func barrier() {}
    func split(color: Int) -> any Communicator { self }
    func splitByMachine() -> any Communicator { self }
}

extension DecoderLayer {
    /// Experts that this rank has.
    fileprivate var expertCount: Int {
        switch feedForward {
        case .experts(let mixture): mixture.experts.count
        case .both(let both): both.mixture.experts.count
        case .dense, .none: 0
        }
    }
}

import Shared

/// Samples by number: a store, or in tests an array.
protocol TrainingSamples {
    var count: Int { get }
    func sample(at index: Int) throws -> Sample
    /// The tokens of a sample, known without reading it.
    func length(of index: Int) -> Int
}

extension [Sample]: TrainingSamples {
    func sample(at index: Int) -> Sample { self[index] }
    func length(of index: Int) -> Int { self[index].inputIDs.count }
}

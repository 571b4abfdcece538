import Shared

/// Samples by number: a store, or in tests an array.
protocol TrainingSamples {
    var count: Int { get }
    func sample(at index: Int) throws -> Sample
}

extension [Sample]: TrainingSamples {
    func sample(at index: Int) -> Sample { self[index] }
}

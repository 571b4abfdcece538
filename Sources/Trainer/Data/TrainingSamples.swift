import Shared

/// Samples by number: a store, or in tests an array.
protocol TrainingSamples {
    var count: Int { get }
    func sample(at index: Int) throws -> Sample
}

extension [Sample]: TrainingSamples {
    func sample(at index: Int) -> Sample { self[index] }
}

/// Some of many samples, evenly from the first to the last: always the same ones.
struct SomeSamples: TrainingSamples {
    let numbers: [Int]
    private let all: any TrainingSamples

    /// - Parameter limit: The most to take; nil for all.
    init(_ all: any TrainingSamples, limit: Int?) {
        self.all = all
        numbers = Self.numbers(limit, of: all.count)
    }

    /// The indices of as many as `limit` of `count` samples.
    static func numbers(_ limit: Int?, of count: Int) -> [Int] {
        let some = min(limit ?? .max, count)
        return (0..<some).map { $0 * count / max(1, some) }
    }

    var count: Int { numbers.count }
    func sample(at index: Int) throws -> Sample { try all.sample(at: numbers[index]) }
}

import Testing

@testable import Trainer

/// Sums of every kind keep their shape, and add up over parts and ranks as their numbers do.
struct SummableTests {
    private static func statistics(_ first: Double) -> TrainingStatistics {
        var statistics = TrainingStatistics(positions: 3)
        statistics.numbers = statistics.numbers.indices.map { first + Double($0) }
        return statistics
    }

    private func expectNumbersAreKept<Sum: Summable>(_ empty: Sum, count: Int) {
        var sum = empty
        #expect(sum.numbers.count == count && sum.numbers.allSatisfy { $0 == 0 })
        let distinct = (0..<count).map { Double($0 + 1) }
        sum.numbers = distinct
        // What is true or false is 0 or 1.
        #expect(zip(sum.numbers, distinct).allSatisfy { $0 == $1 || $0 == 1 })
        let kept = sum.numbers
        sum.add(empty)
        #expect(sum.numbers == kept)
    }

    @Test func everyNumberIsVisitedOnceAndKept() {
        expectNumbersAreKept(TrainingStatistics(positions: 3), count: 3 * 10)
        expectNumbersAreKept(SpeculativeDecoding.Statistics(draftLength: 4), count: 6 + 4 + 2 * 8)
        expectNumbersAreKept(DecodingResult(draftLength: 4, prompts: 2), count: 6 + 4 + 2 * 8 + 2 * 8)
        expectNumbersAreKept(
            DecodingResult(draftLength: 4, prompts: 2, outputLimit: 3), count: 6 + 4 + 2 * 8 + 2 * (8 + 2 * 3))
        expectNumbersAreKept(TargetCache.Counts(), count: 6)
    }

    @Test func addingAddsEachNumber() {
        var sum = Self.statistics(1)
        sum.add(Self.statistics(100))
        #expect(sum.numbers == (0..<30).map { 101 + 2 * Double($0) })
        #expect(sum.positions[1].labels == 101 + 20 && sum.positions[2].cosine == 101 + 2 * 29)
        let counts = TargetCache.Counts(found: 7, computed: 3, kept: 2)
        #expect(counts.since(TargetCache.Counts(found: 5, kept: 2)) == TargetCache.Counts(found: 2, computed: 3))
    }

    @Test func ranksGetTheSameSum() throws {
        let sums = try ThreadCommunicator.run(3) { world in
            (
                Self.statistics(Double(world.rank)).summed(over: world).numbers,
                TargetCache.Counts(found: world.rank, computed: 1).summed(over: world)
            )
        }
        for (numbers, counts) in sums {
            #expect(numbers == (0..<30).map { 3 + 3 * Double($0) })
            #expect(counts == TargetCache.Counts(found: 3, computed: 3))
        }
    }
}

import Testing

@testable import Trainer

/// What is expected of a run follows from what published ones came to.
struct ExpectedAcceptanceTests {
    private static let runs = [
        PublishedRun(tokens: 100, accepted: 0.2, error: 0.01), PublishedRun(tokens: 1000, accepted: 0.4, error: 0.02),
        PublishedRun(tokens: 4000, accepted: 0.7, error: 0.03),
    ]

    @Test(arguments: [
        (100.0, 0.18, 0.22, ExpectedAcceptance.Bound.within), (1000, 0.36, 0.44, .within),
        // Half-way by the logarithm.
        (316.22777, 0.27, 0.33, .within), (2000, 0.5, 0.6, .within), (4000, 0.64, 0.76, .within),
        (99, 0.18, 0.22, .below), (0, 0.18, 0.22, .below), (4001, 0.64, 0.76, .above), (1e30, 0.64, 0.76, .above),
    ])
    func liesBetweenTheRunsOnEitherSide(tokens: Double, low: Double, high: Double, bound: ExpectedAcceptance.Bound)
        throws
    {
        let expected = try #require(ExpectedAcceptance(Self.runs, tokens: tokens))
        #expect(abs(expected.low - low) < 1e-6 && abs(expected.high - high) < 1e-6 && expected.bound == bound)
    }

    @Test func nothingIsExpectedOfWhatNobodyPublished() {
        #expect(ExpectedAcceptance([], tokens: 100) == nil)
    }

    /// The table is in order, and more data was never worse.
    @Test func publishedRunsAreInOrder() {
        let runs = Eagle3Configuration.publishedRuns
        #expect(!runs.isEmpty)
        for (one, next) in zip(runs, runs.dropFirst()) {
            #expect(one.tokens < next.tokens && one.accepted < next.accepted)
        }
        #expect(runs.allSatisfy { $0.tokens > 0 && $0.error > 0 && $0.error < 0.1 })
    }
}

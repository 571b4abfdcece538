import Glibc
import Testing

@testable import Trainer

struct StreamingSoftmaxTests {
    private let workspace = Workspace()

    /// Two blocks of scores, of which a row sees a part each: as if all seen scores had stood together.
    @Test(arguments: [
        (40, 0..<40, 0..<40), (40, 0..<1, 0..<0), (48, 5..<6, 17..<31), (48, 16..<32, 0..<16), (33, 3..<33, 32..<33),
        (200, 15..<177, 64..<129), (16, 0..<0, 2..<9), (7, 1..<7, 0..<3),
    ])
    func blocksGiveTheSoftmaxOfAllThatIsSeen(count: Int, first: Range<Int>, second: Range<Int>) {
        var random = RandomNumbers(seed: UInt64(count))
        let scores = workspace.matrix(rows: 2, columns: (count + 15) & ~15)
        random.fill(scores)
        // What isn't seen may be anything.
        for (row, seen) in [first, second].enumerated() {
            for i in 0..<scores.columns where !seen.contains(i) { scores[row, i] = i % 2 == 0 ? .nan : 1e30 }
        }
        let seen = [first.map { (0, $0) }, second.map { (1, $0) }].flatMap { $0 }
        let before = seen.map { Double(scores[$0.0, $0.1]) }
        let softmax = StreamingSoftmax(rows: 3, in: workspace)
        softmax.begin(2)
        _ = softmax.add(scores.row(0), count, seen: first, to: 2)
        let shrink = softmax.add(scores.row(1), count, seen: second, to: 2)
        let total = before.reduce(0) { $0 + exp($1) }
        #expect(abs(Double(softmax.logSumExp(2)) - log(total)) < 1e-5)
        for (place, score) in zip(seen, before) {
            let found = scores[place.0, place.1] * (place.0 == 0 ? shrink : 1) / softmax.sum(2)
            #expect(abs(Double(found) - exp(score) / total) < 1e-6)
        }
        for (row, seen) in [first, second].enumerated() {
            for i in 0..<count where !seen.contains(i) { #expect(scores[row, i] == 0) }
        }
    }

    @Test func aSinkCountsWithoutAValue() {
        let softmax = StreamingSoftmax(rows: 1, in: workspace)
        let scores = workspace.zeros(rows: 1, columns: 16)
        softmax.begin(0, sink: 2)
        _ = softmax.add(scores.row(0), 3, seen: 0..<3, to: 0)
        #expect(abs(softmax.logSumExp(0) - logf(expf(2) + 3)) < 1e-6)
    }
}

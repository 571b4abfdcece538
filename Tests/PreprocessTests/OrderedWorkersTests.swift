import Glibc
import Testing

@testable import Preprocess

struct OrderedWorkersTests {
    /// Results come in the order of the items, however long each takes, and from all threads at once.
    @Test(arguments: [1, 2, 7]) func handsOutResultsInOrder(threads: Int) throws {
        let workers = try OrderedWorkers<Int, Int>(threads: threads) {
            { item in
                usleep(UInt32(item * 7919 % 13) * 20)
                return item * item
            }
        }
        var (results, next) = ([Int](), 0)
        while next < 500 || !workers.isEmpty {
            if next < 500, workers.canSubmit {
                workers.submit(next)
                next += 1
            } else {
                results.append(workers.take())
            }
        }
        #expect(results == (0..<500).map { $0 * $0 })
        workers.close()
    }
}

import Shared

/// Threads that work on items side by side and hand out results as they come.
///
/// The caller, who is one thread, alternates between giving items and taking results, and keeps both bounded: see
/// `canSubmit`.
final class WorkerPool<Input: Sendable, Output: Sendable> {
    private struct Queue: Sendable {
        var inputs: [(ticket: Int, input: Input)] = []
        var isClosed = false
    }

    private let queue = Monitor(Queue())
    private let outputs = Monitor([(ticket: Int, output: Output)]())
    private var underWay = 0
    private var threads: [WorkerThread] = []
    /// Items that may be under way: enough that no thread waits for the caller.
    let capacity: Int

    /// - Parameters:
    ///   - threads: How many work at once.
    ///   - makeWork: Called once on each thread: what turns one item after another into its result there.
    init(threads count: Int, makeWork: @escaping @Sendable () -> (Input) -> Output) throws {
        capacity = 2 * count + 1
        let (queue, outputs) = (queue, outputs)
        do {
            for _ in 0..<count {
                threads.append(
                    try WorkerThread {
                        let work = makeWork()
                        while let (ticket, input) = Self.next(in: queue) {
                            let output = work(input)
                            outputs.change { $0.append((ticket, output)) }
                        }
                    })
            }
        } catch {
            close()
            throw error
        }
    }

    /// Whether fewer items are under way than memory is meant for.
    var canSubmit: Bool { underWay < capacity }
    var isEmpty: Bool { underWay == 0 }

    /// - Parameter ticket: By which the caller knows the result.
    func submit(_ input: Input, ticket: Int) {
        queue.change { $0.inputs.append((ticket, input)) }
        underWay += 1
    }

    /// A result, of whichever item; waits for one.
    func take() -> (ticket: Int, output: Output) {
        precondition(!isEmpty)
        defer { underWay -= 1 }
        return outputs.take { $0.isEmpty ? nil : $0.removeFirst() }
    }

    /// Ends the threads when each has done its item; what else was submitted is dropped.
    func close() {
        queue.changeForAll { $0.isClosed = true }
        for thread in threads { thread.join() }
        threads = []
    }

    /// Waits for the next item; nil when there will be no more.
    private static func next(in queue: Monitor<Queue>) -> (ticket: Int, input: Input)? {
        queue.take { queue -> (ticket: Int, input: Input)?? in
            if queue.isClosed { return .some(nil) }
            return queue.inputs.isEmpty ? nil : .some(queue.inputs.removeFirst())
        }
    }
}

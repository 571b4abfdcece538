import Shared

/// Threads that work on items side by side and hand out results as they come.
final class AnswerWorkers<Input: Sendable, Output: Sendable> {
    private struct Queue: Sendable {
        var inputs: [Input] = []
        var isClosed = false
    }

    private let queue = Monitor(Queue())
    private let outputs = Monitor([(ticket: Int, output: Output)]())
    private var underWay = 0
    private var threads: [WorkerThread] = []
    private let capacity: Int

    /// - Parameter makeWork: Called once on each thread.
    init(
        threads count: Int, makeWork: @escaping @Sendable () -> (Input) -> Output,
        ticket: @escaping @Sendable (Input) -> Int
    ) throws {
        capacity = 2 * count
        let (queue, outputs) = (queue, outputs)
        do {
            for _ in 0..<count {
                threads.append(
                    try WorkerThread {
                        let work = makeWork()
                        while let input = Self.next(in: queue) {
                            let output = work(input)
                            outputs.change { $0.append((ticket(input), output)) }
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

    func submit(_ input: Input) {
        queue.change { $0.inputs.append(input) }
        underWay += 1
    }

    /// A result; waits for one.
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

    private static func next(in queue: Monitor<Queue>) -> Input? {
        queue.take { queue -> Input?? in
            if queue.isClosed { return .some(nil) }
            return queue.inputs.isEmpty ? nil : .some(queue.inputs.removeFirst())
        }
    }
}

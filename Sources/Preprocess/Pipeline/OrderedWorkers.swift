import Shared

/// Threads that work on items side by side and hand out the results in the items' order.
///
/// The caller, who is one thread, alternates between giving items and taking results, and keeps both bounded: see
/// `canSubmit`.
final class OrderedWorkers<Input: Sendable, Output: Sendable> {
    private struct Queue: Sendable {
        var inputs: [(number: Int, input: Input)] = []
        var isClosed = false
    }

    private let queue = Monitor(Queue())
    private let outputs = Monitor([Int: Output]())
    private var submitted = 0
    private var delivered = 0
    private var threads: [WorkerThread] = []
    private let capacity: Int

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
                        while let (number, input) = Self.next(in: queue) {
                            let output = work(input)
                            outputs.change { $0[number] = output }
                        }
                    })
            }
        } catch {
            close()
            throw error
        }
    }

    /// Whether fewer items are under way than memory is meant for.
    var canSubmit: Bool { submitted - delivered < capacity }
    var isEmpty: Bool { submitted == delivered }

    func submit(_ input: Input) {
        queue.change { $0.inputs.append((submitted, input)) }
        submitted += 1
    }

    /// The result of the first item whose result wasn't delivered yet; waits for it.
    func take() -> Output {
        precondition(!isEmpty)
        defer { delivered += 1 }
        return outputs.take { $0.removeValue(forKey: delivered) }
    }

    /// Ends the threads when each has done its item; what else was submitted is dropped.
    func close() {
        queue.changeForAll { $0.isClosed = true }
        for thread in threads { thread.join() }
        threads = []
    }

    /// Waits for the next item; nil when there will be no more.
    private static func next(in queue: Monitor<Queue>) -> (number: Int, input: Input)? {
        queue.take { queue -> (number: Int, input: Input)?? in
            if queue.isClosed { return .some(nil) }
            return queue.inputs.isEmpty ? nil : .some(queue.inputs.removeFirst())
        }
    }
}

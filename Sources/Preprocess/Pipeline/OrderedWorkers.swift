/// A pool of workers whose results are handed out in the items' order.
///
/// At most as many results wait for those before them as items may be under way.
final class OrderedWorkers<Input: Sendable, Output: Sendable> {
    private let pool: WorkerPool<Input, Output>
    private var submitted = 0
    private var delivered = 0
    private var waiting: [Int: Output] = [:]

    /// - Parameters: Those of `WorkerPool`.
    init(threads count: Int, makeWork: @escaping @Sendable () -> (Input) -> Output) throws {
        pool = try WorkerPool(threads: count, makeWork: makeWork)
    }

    /// Whether fewer items are under way, or wait for one before them, than memory is meant for.
    var canSubmit: Bool { submitted - delivered < pool.capacity }
    var isEmpty: Bool { submitted == delivered }

    func submit(_ input: Input) {
        pool.submit(input, ticket: submitted)
        submitted += 1
    }

    /// The result of the first item whose result wasn't delivered yet; waits for it.
    func take() -> Output {
        precondition(!isEmpty)
        while true {
            if let output = waiting.removeValue(forKey: delivered) {
                delivered += 1
                return output
            }
            let (ticket, output) = pool.take()
            waiting[ticket] = output
        }
    }

    /// Ends the threads when each has done its item; what else was submitted is dropped.
    func close() { pool.close() }
}

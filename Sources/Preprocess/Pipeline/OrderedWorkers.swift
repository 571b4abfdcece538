@preconcurrency import Glibc
import Shared

/// Threads that work on items side by side and hand out the results in the items' order.
///
/// The caller alternates between giving items and taking results, and keeps both bounded: see `canSubmit`.
final class OrderedWorkers<Input: Sendable, Output: Sendable>: @unchecked Sendable {
    private var mutex = pthread_mutex_t()
    private var inputArrived = pthread_cond_t()
    private var outputArrived = pthread_cond_t()
    private var inputs: [(number: Int, input: Input)] = []
    private var outputs: [Int: Output] = [:]
    private var isClosed = false
    private var submitted = 0
    private var taken = 0
    private var threads: [WorkerThread] = []
    private let makeWork: @Sendable () -> (Input) -> Output
    private let capacity: Int

    /// - Parameters:
    ///   - threads: How many work at once.
    ///   - makeWork: Called once on each thread: what turns one item after another into its result there.
    init(threads count: Int, makeWork: @escaping @Sendable () -> (Input) -> Output) throws {
        self.makeWork = makeWork
        capacity = 2 * count + 1
        pthread_mutex_init(&mutex, nil)
        pthread_cond_init(&inputArrived, nil)
        pthread_cond_init(&outputArrived, nil)
        do {
            for _ in 0..<count { threads.append(try WorkerThread { [self] in work() }) }
        } catch {
            close()
            throw error
        }
    }

    /// Whether fewer items are under way than memory is meant for.
    var canSubmit: Bool { submitted - taken < capacity }
    var isEmpty: Bool { submitted == taken }

    func submit(_ input: Input) {
        pthread_mutex_lock(&mutex)
        inputs.append((submitted, input))
        pthread_mutex_unlock(&mutex)
        pthread_cond_signal(&inputArrived)
        submitted += 1
    }

    /// The result of the first item whose result wasn't taken yet; waits for it.
    func take() -> Output {
        precondition(!isEmpty)
        pthread_mutex_lock(&mutex)
        defer { pthread_mutex_unlock(&mutex) }
        while true {
            if let output = outputs.removeValue(forKey: taken) {
                taken += 1
                return output
            }
            pthread_cond_wait(&outputArrived, &mutex)
        }
    }

    /// Ends the threads when each has done what it is at; what else was submitted is dropped.
    func close() {
        pthread_mutex_lock(&mutex)
        isClosed = true
        pthread_mutex_unlock(&mutex)
        pthread_cond_broadcast(&inputArrived)
        for thread in threads { thread.join() }
        threads = []
    }

    private func work() {
        let work = makeWork()
        while let (number, input) = nextInput() {
            let output = work(input)
            pthread_mutex_lock(&mutex)
            outputs[number] = output
            pthread_mutex_unlock(&mutex)
            pthread_cond_signal(&outputArrived)
        }
    }

    private func nextInput() -> (number: Int, input: Input)? {
        pthread_mutex_lock(&mutex)
        defer { pthread_mutex_unlock(&mutex) }
        while inputs.isEmpty && !isClosed { pthread_cond_wait(&inputArrived, &mutex) }
        return isClosed ? nil : inputs.removeFirst()
    }
}

@preconcurrency import Glibc

/// State that threads share under a lock, and for whose changes they wait.
final class Monitor<State: Sendable>: @unchecked Sendable {
    // Allocated, as POSIX wants a lock and a condition to stay at one address and be passed by it alone.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Read and written only by who holds the lock: that is why other threads may have the monitor.
    private var state: State

    init(_ state: State) {
        self.state = state
        precondition(pthread_mutex_init(mutex, nil) == 0 && pthread_cond_init(condition, nil) == 0)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the state, and wakes one of those that wait.
    func change(_ body: (inout State) -> Void) {
        withLock(body)
        pthread_cond_signal(condition)
    }

    /// Changes the state, and wakes all that wait.
    func changeForAll(_ body: (inout State) -> Void) {
        withLock(body)
        pthread_cond_broadcast(condition)
    }

    /// Takes something out of the state, for which it waits until `body` finds it.
    ///
    /// - Parameter body: Called with the lock held, again after each change; nil to wait on.
    func take<T>(_ body: (inout State) -> T?) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let found = body(&state) { return found }
            pthread_cond_wait(condition, mutex)
        }
    }

    private func withLock(_ body: (inout State) -> Void) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        body(&state)
    }
}

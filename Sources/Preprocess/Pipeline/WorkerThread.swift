@preconcurrency import Glibc

/// A thread that runs a closure.
struct WorkerThread {
    private let handle: pthread_t

    init(_ body: @escaping @Sendable () -> Void) throws {
        let start = Unmanaged.passRetained(ThreadStart(body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw WorkerThreadError(code: code)
        }
        self.handle = handle
    }

    /// Waits until the closure has returned.
    func join() { pthread_join(handle, nil) }
}

/// No thread could be started.
struct WorkerThreadError: Error, CustomStringConvertible {
    let code: Int32
    var description: String { "can't start a thread: \(String(cString: strerror(code)))" }
}

private final class ThreadStart: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

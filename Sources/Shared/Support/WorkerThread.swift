@preconcurrency import Glibc

/// A thread that runs a closure, with all signals blocked: those are the main thread's.
public struct WorkerThread: Sendable {
    private let handle: pthread_t

    public init(_ body: @escaping @Sendable () -> Void) throws(WorkerThreadError) {
        let start = Unmanaged.passRetained(ThreadStart(body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                var signals = sigset_t()
                sigfillset(&signals)
                pthread_sigmask(SIG_BLOCK, &signals, nil)
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
    public func join() { pthread_join(handle, nil) }
}

/// No thread could be started.
public struct WorkerThreadError: Error, CustomStringConvertible {
    let code: Int32
    public var description: String { "can't start a thread: \(String(cString: strerror(code)))" }
}

private final class ThreadStart: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

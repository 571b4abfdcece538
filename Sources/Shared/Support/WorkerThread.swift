@preconcurrency import Glibc

/// A thread that runs a closure, with all signals blocked: those are the main thread's.
///
/// It may run on all CPUs of the process, also where the thread that starts it is bound to one.
///
/// Its stack has a size of its own, whatever `ulimit -s` says: renderings of templates, which bound their use of the
/// stack by what threads have by default, begin with most of it left.
public struct WorkerThread: Sendable {
    /// Bytes of address space, of which only what is used takes memory.
    private static let stackSize = 16 << 20

    private let handle: pthread_t

    public init(_ body: @escaping @Sendable () -> Void) throws(WorkerThreadError) {
        var attributes = pthread_attr_t()
        var code = pthread_attr_init(&attributes)
        guard code == 0 else { throw WorkerThreadError(code: code) }
        defer { pthread_attr_destroy(&attributes) }
        code = pthread_attr_setstacksize(&attributes, Self.stackSize)
        guard code == 0 else { throw WorkerThreadError(code: code) }
        let cpus = Machine.allowedCPUs
        let start = Unmanaged.passRetained(
            ThreadStart {
                Machine.bindThread(to: cpus)
                body()
            })
        var handle = pthread_t()
        code = pthread_create(
            &handle, &attributes,
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

@preconcurrency import Glibc

/// Handlers of signals that run on a stack of their own.
///
/// oneDNN 2.6's kernel for few rows by a transposed matrix keeps what it needs further below the stack's end than the
/// 128 bytes that a signal leaves alone. A handler on the same stack writes over that, and the kernel then anywhere.
public enum SignalHandler {
    /// More than the registers of any CPU take, AMX's 8 KiB of tiles among them.
    private static let stackSize = 1 << 16

    /// Catches signals on the calling thread, also if the program that started this one had blocked them.
    ///
    /// The stack is the thread's, and stays: once a thread.
    public static func install(_ numbers: [Int32], _ handler: @escaping @convention(c) (Int32) -> Void) {
        var stack = stack_t()
        stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: stackSize, alignment: 16)
        stack.ss_size = stackSize
        sigaltstack(&stack, nil)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = SA_ONSTACK | SA_RESTART
        sigemptyset(&action.sa_mask)
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in numbers {
            sigaction(number, &action, nil)
            sigaddset(&signals, number)
        }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
}

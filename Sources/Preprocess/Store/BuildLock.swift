@preconcurrency import Glibc
import Shared

/// The right to build one store: other processes that want to build the same one wait.
///
/// It ends with the process, however that ends.
final class BuildLock {
    private let file: String
    private let descriptor: Int32

    /// Waits until no other process builds the store at `path`.
    /// - Parameter willWait: Called once if there is such a process.
    init(_ path: String, willWait: () -> Void) throws {
        file = path + ".lock"
        var isWaiting = false
        while true {
            if let descriptor = try Self.lock(file) {
                self.descriptor = descriptor
                return
            }
            if !isWaiting { willWait() }
            isWaiting = true
            try Interrupt.check()
            usleep(50_000)
        }
    }

    /// Takes the lock if no other process has it, else nil.
    init?(ifFree path: String) throws {
        file = path + ".lock"
        guard let descriptor = try Self.lock(file) else { return nil }
        self.descriptor = descriptor
    }

    /// Opens and locks a file; nil if another process has it, or has just removed it.
    private static func lock(_ file: String) throws(FileError) -> Int32? {
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(file, "create it") }
        var (own, named) = (stat(), stat())
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
            if fstat(descriptor, &own) == 0, stat(file, &named) == 0, own.st_ino == named.st_ino { return descriptor }
            close(descriptor)
            return nil
        }
        let code = errno
        close(descriptor)
        guard code == EWOULDBLOCK || code == EINTR else { throw FileError(file, "lock it", code: code) }
        return nil
    }

    /// Removes the lock's file, for who leaves nothing that it would guard.
    func removeFile() throws(FileError) {
        guard unlink(file) == 0 || errno == ENOENT else { throw FileError(file, "remove it") }
    }

    deinit { close(descriptor) }
}

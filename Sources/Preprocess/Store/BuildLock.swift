@preconcurrency import Glibc
import Shared

/// The right to change the files of one store: other processes that want it wait.
///
/// It ends with the process, however that ends.
final class BuildLock {
    private let directory: Directory
    private let name: String
    private let file: OpenFile

    /// Waits until no other process builds the store at `path`.
    /// - Parameter willWait: Called once if there is such a process.
    init(_ path: String, willWait: () -> Void) throws {
        (directory, name) = try Self.location(path)
        var isWaiting = false
        while true {
            if let file = try Self.lock(directory, name, makesFile: true) {
                self.file = file
                return
            }
            if !isWaiting { willWait() }
            isWaiting = true
            try Interrupt.check()
            usleep(50_000)
        }
    }

    /// Takes the lock if no other process has it, else nil.
    /// - Parameter makesFile: Whether the lock's file is made if it isn't there; else that is nil too.
    init?(ifFree path: String, makesFile: Bool = true) throws {
        (directory, name) = try Self.location(path)
        guard let file = try Self.lock(directory, name, makesFile: makesFile) else { return nil }
        self.file = file
    }

    private static func location(_ path: String) throws -> (Directory, String) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return (try Directory(Shared.directory(of: path)), name + ".lock")
    }

    /// Opens and locks a file; nil if another process has it, or has just removed it.
    private static func lock(
        _ directory: Directory, _ name: String, makesFile: Bool
    ) throws(FileError) -> OpenFile? {
        guard let file = try directory.open(name, O_RDWR | (makesFile ? O_CREAT : 0)) else { return nil }
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw FileError(file.path, "lock it") }
            return nil
        }
        return try directory.status(of: name)?.inode == file.status.inode ? file : nil
    }

    /// Removes the lock's file, for who leaves nothing that it would guard.
    func removeFile() throws(FileError) { try directory.remove(name) }
}

@preconcurrency import Glibc
import Shared

extension StoreLink {
    /// Makes the store at `path` the one at `store`.
    /// - Returns: Whether the file system has links.
    static func make(_ path: String, to store: String, files: [StoreManifest.DataFile]) throws(FileError) -> Bool {
        let aside = path + ".sealed"
        guard unlink(aside) == 0 || errno == ENOENT else { throw FileError(aside, "remove it") }
        guard link(store, aside) == 0 else {
            if [EPERM, EXDEV, EMLINK, ENOTSUP, ENOSYS].contains(errno) { return false }
            throw FileError(aside, "link \(store) to it")
        }
        // First what is ignored as long as the store has other contents.
        try writeFile(self.path(beside: path), JSONText.array(files.map(\.json)).pretty.utf8)
        guard rename(aside, path) == 0 else { throw FileError(path, "rename \(aside) to it") }
        return true
    }
}

@preconcurrency import Glibc

/// A store that serves a second dataset of the same contents.
///
/// It is the same file under the second key, and beside it, in `KEY.files`, stands which files it is of there.
public enum StoreLink {
    static let suffix = ".files"

    /// Makes the store at `path` the one at `store`.
    /// - Returns: Whether the file system has links.
    public static func make(_ path: String, to store: String, files: [StoreManifest.DataFile]) throws(FileError) -> Bool
    {
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

    /// The files that a store is of: those beside it if they have the contents that it was built from, else those that it
    /// was built from.
    static func files(of path: String, builtFrom files: [StoreManifest.DataFile]) throws -> [StoreManifest.DataFile] {
        let beside = self.path(beside: path)
        guard fileExists(beside) else { return files }
        let linked = try JSONFile(beside).root.elements.map { try StoreManifest.DataFile($0) }
        return linked.map(\.digest) == files.map(\.digest) ? linked : files
    }

    /// Where it is written which files the store at `path` is of.
    public static func path(beside path: String) -> String {
        path.hasSuffix(StoreLocation.suffix)
            ? String(path.dropLast(StoreLocation.suffix.count)) + suffix : path + suffix
    }
}

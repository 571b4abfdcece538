@preconcurrency import Glibc

/// A store whose dataset is elsewhere than it was: a second one of the same contents, or one that was moved.
///
/// It is the same file under the second key, and beside it, in `KEY.files`, stands which files it is of there.
public enum StoreLink {
    package static let suffix = ".files"

    /// The files that a store is of: those beside it if they have the contents that it was built from, else those that it
    /// was built from.
    static func files(of path: String, builtFrom files: [StoreManifest.DataFile]) throws -> [StoreManifest.DataFile] {
        let beside = self.path(beside: path)
        // A link that somebody has planted isn't the list.
        let name = beside.split(separator: "/").last.map(String.init) ?? beside
        guard try Directory(directory(of: path)).status(of: name)?.kind == .file else { return files }
        let linked = try JSONFile(beside).root.elements.map { try StoreManifest.DataFile($0) }
        return linked.map(\.digest) == files.map(\.digest) ? linked : files
    }

    /// Notes that the files of a store are the same under another time or inode, so that nobody reads them again to see it.
    ///
    /// Where it can't be noted, as in a cache that others keep, they are read again.
    public static func remember(_ files: [StoreManifest.DataFile], of path: String) {
        let name = self.path(beside: path).split(separator: "/").last.map(String.init) ?? ""
        // Who finds the file there leaves it to the one who is writing it.
        guard let directory = try? Directory(directory(of: path)),
            let file = try? directory.open(name + ".partial", O_RDWR | O_CREAT | O_EXCL)
        else { return }
        do {
            try file.append(Array(JSONText.array(files.map(\.json)).pretty.utf8))
            try file.sync()
            try directory.rename(name + ".partial", to: name)
        } catch {
            try? directory.remove(name + ".partial")
        }
    }

    /// Where it is written which files the store at `path` is of.
    public static func path(beside path: String) -> String {
        path.hasSuffix(StoreLocation.suffix)
            ? String(path.dropLast(StoreLocation.suffix.count)) + suffix : path + suffix
    }
}

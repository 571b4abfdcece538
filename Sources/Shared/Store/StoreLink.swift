/// A store that serves a second dataset of the same contents.
///
/// It is the same file under the second key, and beside it, in `KEY.files`, stands which files it is of there.
public enum StoreLink {
    package static let suffix = ".files"

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

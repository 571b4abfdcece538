@preconcurrency import Glibc

/// Where a dataset's store is, and whether it still fits the dataset.
public enum StoreLocation {
    public static let suffix = ".mdb"

    /// What a store of a dataset is for.
    public enum Contents: String, Sendable {
        /// To train and evaluate with.
        case samples
        /// To have a target answer: see `BuildSettings.prompts`.
        case prompts
    }

    /// The file of a dataset's store, `CACHE/KEY.mdb`.
    ///
    /// KEY is the XXH3-128 of the dataset's absolute path in hexadecimal digits; of several files, of their paths with a
    /// line feed between each two. Before the paths of prompts stands a line "prompts", so that a dataset may have a store
    /// of either kind.
    public static func path(cacheDir: String, dataPaths: [String], holding contents: Contents = .samples) -> String {
        "\(cacheDir)/\(key(dataPaths, holding: contents))\(suffix)"
    }

    public static func key(_ dataPaths: [String], holding contents: Contents = .samples) -> String {
        let first = contents == .samples ? [] : [contents.rawValue]
        return Digest(of: (first + expand(dataPaths).map(absolutePath)).joined(separator: "\n")).hex
    }

    /// The files that paths stand for.
    ///
    /// As for a shell, a path with `*`, `?` or `[` that is no file itself stands for all files that fit, in the order of
    /// their names' bytes, and for itself if none does. A directory stands for its shards; see `ShardDirectory`.
    public static func expand(_ dataPaths: [String]) -> [String] {
        dataPaths.flatMap { path in
            if ShardDirectory.isDirectory(path) { return ShardDirectory.files(in: path) }
            return isPattern(path) && !fileExists(path) ? matches(path) : [path]
        }
    }

    /// Whether a path stands for a file, which need not be there, or will once it is.
    public static func stands(_ dataPath: String, for file: String) -> Bool {
        let (place, name) = (absolutePath(directory(of: file)), Substring(file).lastComponent)
        if ShardDirectory.isDirectory(dataPath) {
            return absolutePath(dataPath) == place
                && ShardDirectory.suffixes.contains { name.lowercased().hasSuffix($0) }
        }
        if expand([dataPath]).contains(where: { absolutePath($0) == absolutePath(file) }) { return true }
        guard isPattern(dataPath), !fileExists(dataPath) else { return false }
        let parent = directory(of: dataPath)
        return (isPattern(parent) ? matches(parent) : [parent]).contains { absolutePath($0) == place }
            && fnmatch(Substring(dataPath).lastComponent, name, FNM_PERIOD) == 0
    }

    private static func isPattern(_ path: String) -> Bool { path.utf8.contains(where: "*?[".utf8.contains) }

    private static func matches(_ pattern: String) -> [String] {
        var result = glob_t()
        defer { globfree(&result) }
        guard glob(pattern, GLOB_NOSORT, nil, &result) == 0, let paths = result.gl_pathv else { return [pattern] }
        let found = (0..<Int(result.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
        return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The data files as they are now, without digests.
    public static func files(_ dataPaths: [String]) throws -> [StoreManifest.DataFile] {
        try expand(dataPaths).map { path in
            guard fileExists(path) || !isPattern(path) else { throw StoreError(path, "no file fits this pattern") }
            if ShardDirectory.isDirectory(path) { throw try ShardDirectory.lack(path) }
            let absolute = absolutePath(path)
            guard !absolute.unicodeScalars.contains("\u{FFFD}") || fileExists(absolute) else {
                throw StoreError(absolute, "has a name that isn't UTF-8; give it another")
            }
            return StoreManifest.DataFile(path: absolute, status: try FileStatus(of: path))
        }
    }

    /// What has become of a dataset since a store was built from it.
    public struct Comparison: Sendable {
        /// What has changed, in a sentence for people; nil if nothing has.
        public var change: String?
        /// The same contents with another time or inode, as after a copy: the files as they are now.
        public var moved: [StoreManifest.DataFile]?
    }

    /// Compares a dataset with what a store was built from.
    ///
    /// A file with the same size, time and inode is assumed to be the same; any other is read again and compared by its
    /// digest.
    public static func check(_ manifest: StoreManifest, dataPaths: [String]) throws -> Comparison {
        let now = try files(dataPaths)
        guard now.map(\.path) == manifest.files.map(\.path) else {
            func list(_ files: [StoreManifest.DataFile]) -> String { files.map(\.path).joined(separator: ", ") }
            return Comparison(change: "dataset: \(list(manifest.files)) -> \(list(now))")
        }
        var moved = manifest.files
        for (index, (old, new)) in zip(manifest.files, now).enumerated() where old.status != new.status {
            if old.status.size != new.status.size {
                return Comparison(
                    change: "size of \(new.path): \(old.status.size) -> \(new.status.size) bytes")
            }
            let digest = try Digest(ofFile: new.path, check: Interrupt.check).hex
            if digest != old.digest {
                return Comparison(change: "content of \(new.path): \(old.digest ?? "unknown") -> \(digest)")
            }
            moved[index].status = new.status
        }
        return Comparison(moved: moved == manifest.files ? nil : moved)
    }
}

extension Substring {
    /// What follows a path's last slash.
    fileprivate var lastComponent: String { String(lastIndex(of: "/").map { self[index(after: $0)...] } ?? self) }
}

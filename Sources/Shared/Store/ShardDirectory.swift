@preconcurrency import Glibc

/// A directory of shards as a dataset: its files of JSON, in the order of their names' bytes, without those of directories
/// within it.
public enum ShardDirectory {
    /// What the names of files end with that are read, packed or not.
    public static let suffixes = ["jsonl", "json", "ndjson"].flatMap { [".\($0)", ".\($0).gz", ".\($0).zst"] }

    /// Whether a path is a directory.
    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The names that are read, and all others that don't begin with a dot.
    public static func contents(of path: String) throws(FileError) -> (shards: [String], others: [String]) {
        let names = try listDirectory(path).filter { !$0.hasPrefix(".") }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let isShard = { (name: String) in
            suffixes.contains { name.lowercased().hasSuffix($0) } && !isDirectory("\(path)/\(name)")
        }
        return (names.filter(isShard), names.filter { !isShard($0) })
    }

    /// The files of a directory; itself if it has none or can't be read.
    static func files(in path: String) -> [String] {
        let shards = (try? contents(of: path).shards) ?? []
        let parent = path.hasSuffix("/") ? path : "\(path)/"
        return shards.isEmpty ? [path] : shards.map { parent + $0 }
    }

    /// Why nothing of a directory is read.
    static func lack(_ path: String) throws(FileError) -> StoreError {
        let others = try contents(of: path).others
        if others.contains("snapshots"), let names = try? listDirectory("\(path)/snapshots"), !names.isEmpty {
            let snapshots = names.map { "\(path)/snapshots/\($0)" }.joined(separator: ", ")
            return StoreError(
                path,
                "is a dataset's folder in the cache of huggingface_hub; name the files in a snapshot of it: \(snapshots)"
            )
        }
        let within = others.contains { isDirectory("\(path)/\($0)") } ? "; directories within it aren't entered" : ""
        let named = others.isEmpty ? "it is empty" : "in it are \(others.prefix(5).joined(separator: ", "))\(within)"
        return StoreError(path, "is a directory without files *\(suffixes.joined(separator: ", *")); \(named)")
    }
}

import Shared

extension StoreLink {
    /// Makes the store of `key` the one at `store`, another of the same cache.
    /// - Returns: Whether the file system has links.
    static func make(
        _ key: String, in cache: CacheDirectory, to store: String, files: [StoreManifest.DataFile]
    ) throws(FileError) -> Bool {
        let directory = cache.directory
        let (sealed, name) = (cache.name(.sealed, key), store.split(separator: "/").last.map(String.init) ?? store)
        try directory.remove(sealed)
        guard try directory.link(name, as: sealed) else { return false }
        // First what is ignored as long as the store has other contents.
        try directory.replace(cache.name(.files, key), JSONText.array(files.map(\.json)).pretty.utf8)
        try directory.rename(sealed, to: cache.name(.store, key))
        return true
    }
}

import Shared

extension StoreLocation {
    /// Whether a dataset is what a store was built from and more: records appended to its last file.
    static func isGrown(since manifest: StoreManifest, dataPaths: [String]) throws -> Bool {
        let now = try files(dataPaths)
        guard now.map(\.path) == manifest.files.map(\.path), manifest.files.allSatisfy(\.isAppendable),
            let old = manifest.files.last, let new = now.last, new.status.size > old.status.size
        else { return false }
        for (old, new) in zip(manifest.files, now).dropLast() where old.status != new.status {
            guard try old.digest == Digest(ofFile: new.path).hex else { return false }
        }
        return try Digest(ofFile: new.path, first: old.status.size).hex == old.digest
    }

    /// Another store of the cache that was built from the same contents in the same way, if there is one.
    ///
    /// - Parameter manifest: The manifest that a store of these files would have.
    /// - Returns: The store, and the files with their digests.
    static func twin(
        of manifest: StoreManifest, in cache: CacheDirectory, except path: String
    ) throws -> (store: String, files: [StoreManifest.DataFile])? {
        var files = manifest.files
        for store in try cache.stores() where store != path {
            guard let other = try? SampleStore(reading: store).manifest, other.changes(to: manifest).isEmpty,
                other.files.map(\.status.size) == files.map(\.status.size)
            else { continue }
            for i in files.indices where files[i].digest == nil {
                files[i].digest = try Digest(ofFile: files[i].path).hex
            }
            guard other.files.map(\.digest) == files.map(\.digest) else { continue }
            for i in files.indices { files[i].isAppendable = other.files[i].isAppendable }
            return (store, files)
        }
        return nil
    }
}

extension SampleStore {
    /// Opens the store of a dataset, which must be there and still fit it.
    ///
    /// - Parameter buildCommand: The command line that builds it, as a user would type it, from what a store that is there
    ///   was built with.
    /// - Throws: `StoreError` that says what is missing or has changed and prints the command.
    public static func open(
        cacheDir: String, dataPaths: [String], holding contents: StoreLocation.Contents = .samples,
        buildCommand: (StoreManifest?) -> String
    ) throws -> SampleStore {
        let path = StoreLocation.path(cacheDir: cacheDir, dataPaths: dataPaths, holding: contents)
        let dataset = dataPaths.joined(separator: ", ")
        guard fileExists(path) else {
            let state = fileExists(path + ".partial") ? "was begun but isn't finished" : "isn't there"
            throw StoreError(path, "the store of \(dataset) \(state); build it with\n  \(buildCommand(nil))")
        }
        let store = try SampleStore(reading: path)
        let comparison = try StoreLocation.check(store.manifest, dataPaths: dataPaths)
        if let moved = comparison.moved { StoreLink.remember(moved, of: path) }
        if let change = comparison.change {
            throw StoreError(
                path,
                "the store of \(dataset) is out of date (\(change)); build it again with\n  "
                    + buildCommand(store.manifest))
        }
        return store
    }
}

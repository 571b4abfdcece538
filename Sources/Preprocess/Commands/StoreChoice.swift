import Shared

/// Which store of a cache directory a command is about.
struct StoreChoice: Options {
    var cache = CacheOption()
    @Option("The dataset whose store is meant; not needed where there is only one.", value: "FILE...")
    var trainDataPath: [String] = []
    @Flag("The dataset's prompts are meant, as of build --prompts, and not its samples.") var prompts

    var cacheDir: String { cache.cacheDir }

    /// What the store holds; nil for whatever it does, if there is only one.
    var contents: StoreLocation.Contents? { prompts ? .prompts : nil }

    /// - Throws: `StoreError` if there is no such store, or several to choose from.
    func open() throws -> SampleStore {
        guard trainDataPath.isEmpty else {
            return try Self.open(cacheDir: cacheDir, dataPaths: trainDataPath, holding: contents ?? .samples)
        }
        return try Self.only(in: cacheDir, holding: contents)
    }

    /// - Throws: `StoreError` if there is no such store, or several to choose from.
    static func only(in cacheDir: String, holding contents: StoreLocation.Contents?) throws -> SampleStore {
        var stores = try CacheDirectory(cacheDir).stores()
        if let contents {
            // One that can't be read, of an older format say, isn't meant where a whole one is.
            stores = stores.filter {
                (try? SampleStore(reading: $0))?.manifest.settings.known.contents == contents
            }
        }
        let kind = contents == .prompts ? " of prompts" : ""
        guard let only = stores.first else { throw StoreError(cacheDir, "has no store\(kind)") }
        guard stores.count == 1 else {
            throw StoreError(cacheDir, "has \(stores.count) stores\(kind); choose one by its --train-data-path")
        }
        return try SampleStore(reading: only)
    }

    /// - Throws: `StoreError` if the dataset has no store.
    static func open(
        cacheDir: String, dataPaths: [String], holding contents: StoreLocation.Contents = .samples
    ) throws -> SampleStore {
        let path = StoreLocation.path(cacheDir: cacheDir, dataPaths: dataPaths, holding: contents)
        guard fileExists(path) else {
            let dataset = dataPaths.joined(separator: ", ")
            throw StoreError(path, "the store of \(dataset) isn't there; Preprocess build makes it")
        }
        return try SampleStore(reading: path)
    }
}

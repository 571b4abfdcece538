import Shared

/// A store of a cache directory, finished or not, and what has become of it.
struct CachedStore {
    enum State: Equatable {
        case complete, outOfDate, unfinished
        /// A file of its dataset isn't there any more.
        case datasetMissing(String)
        case unreadable(String)
    }

    let path: String
    let state: State
    let bytes: Int
    let manifest: StoreManifest?

    /// All of a cache directory, sorted by their keys.
    static func all(in cacheDir: String) throws -> [CachedStore] {
        let stores = try StoreLocation.stores(in: cacheDir).map(CachedStore.init(store:))
        let unfinished = try StoreLocation.unfinished(in: cacheDir).map(CachedStore.init(unfinished:))
        return (stores + unfinished).sorted { $0.path < $1.path }
    }

    private init(store path: String) {
        self.path = path
        bytes = (try? FileStatus(of: path).size) ?? 0
        do {
            let manifest = try SampleStore(reading: path).manifest
            self.manifest = manifest
            state = Self.state(manifest)
        } catch {
            manifest = nil
            // The errors of a store begin with its path, which whoever reads this knows.
            let message = "\(error)"
            state = .unreadable(message.hasPrefix("\(path): ") ? String(message.dropFirst(path.count + 2)) : message)
        }
    }

    private init(unfinished path: String) {
        self.path = path
        bytes = (try? FileStatus(of: path).size) ?? 0
        manifest = try? SampleStoreWriter.manifest(ofUnfinished: path)
        state = .unfinished
    }

    private static func state(_ manifest: StoreManifest) -> State {
        let paths = manifest.files.map(\.path)
        if let missing = paths.first(where: { !fileExists($0) }) { return .datasetMissing(missing) }
        let change = try? StoreLocation.change(since: manifest, dataPaths: paths)
        return change == nil ? .complete : .outOfDate
    }

    /// The state in a word or two, without why.
    var stateName: String {
        switch state {
        case .datasetMissing: "dataset missing"
        case .unreadable: "unreadable"
        case .complete, .outOfDate, .unfinished: state.description
        }
    }

    var key: String {
        let name = path.split(separator: "/").last ?? ""
        return String(name.prefix { $0 != "." })
    }
}

extension CachedStore.State: CustomStringConvertible {
    var description: String {
        switch self {
        case .complete: "complete"
        case .outOfDate: "out of date"
        case .unfinished: "unfinished"
        case .datasetMissing(let path): "dataset missing: \(path)"
        case .unreadable(let message): "unreadable: \(message)"
        }
    }
}

@preconcurrency import Glibc
import Shared

/// The directory in which stores are kept: which of its files are Eyrie's, and what may be done to them.
///
/// Eyrie's are regular files whose names begin with a store's KEY, 32 lower-case hexadecimal digits, and end as `Kind`
/// says. All others are foreign: they may be there, and are neither read nor removed. Others may write to the directory:
/// no symbolic link in it is followed where something is written or removed.
struct CacheDirectory {
    /// What a file of a store is for, by what follows KEY in its name.
    enum Kind: String, CaseIterable {
        case store = ".mdb"
        /// A store that is being built, or that an ended build has left.
        case partial = ".mdb.partial"
        /// A whole store on its way to its name.
        case sealed = ".mdb.sealed"
        /// Who has it locked may change the store's files.
        case lock = ".mdb.lock"
        /// Which files the store is of, where that isn't in it.
        case files = ".files"
        case filesPartial = ".files.partial"
    }

    /// What follows KEY and precedes the run's name in the name of a directory of ranks.
    static let ranksSuffix = ".mdb.ranks-"

    let directory: Directory
    var path: String { directory.path }

    /// - Throws: `FileError` if there is no such directory.
    init(_ path: String) throws(FileError) { directory = try Directory(path) }

    /// The directory, which is made if it isn't there.
    init(making path: String) throws(FileError) {
        try makeDirectory(path)
        try self.init(path)
    }

    func name(_ kind: Kind, _ key: String) -> String { key + kind.rawValue }
    func path(_ kind: Kind, _ key: String) -> String { directory.path(of: name(kind, key)) }

    /// The key and the rest of a name, if it begins with a key.
    static func split(_ name: String) -> (key: String, rest: String)? {
        let bytes = Array(name.utf8)
        let isKey =
            bytes.count > 32
            && bytes[..<32].allSatisfy { byte in
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte
            }
        return isKey ? (String(name.prefix(32)), String(name.dropFirst(32))) : nil
    }

    /// What a name is for; nil if it isn't one of Eyrie's.
    static func parse(_ name: String) -> (key: String, kind: Kind)? {
        guard let (key, rest) = split(name), let kind = Kind(rawValue: rest) else { return nil }
        return (key, kind)
    }

    /// The keys of which there is a file of some kind, ascending.
    func keys(_ kinds: Set<Kind> = Set(Kind.allCases)) throws(FileError) -> [String] {
        var keys: Set<String> = []
        for name in try directory.names() {
            if let (key, kind) = Self.parse(name), kinds.contains(kind) { keys.insert(key) }
        }
        return keys.sorted()
    }

    /// The paths of the finished stores that can be read, or that should be: regular files.
    func stores() throws -> [String] {
        try keys([.store]).filter { try directory.status(of: name(.store, $0))?.kind == .file }.map { path(.store, $0) }
    }

    /// Directories in which ranks work or worked on a store.
    func rankDirectories(_ key: String) throws(FileError) -> [String] {
        try directory.names().filter { $0.hasPrefix(key + Self.ranksSuffix) }
    }

    /// Removes what ended builds have left beside a store.
    ///
    /// Only who holds the key's lock may: nobody writes these files without it, and ranks write nothing before their rank
    /// 0 has it.
    ///
    /// - Parameter alsoFiles: Whether there is no store any more that the list of files would be of.
    func removeLeftovers(_ key: String, alsoFiles: Bool = false) throws(FileError) {
        for name in try rankDirectories(key) { try directory.removeTree(name) }
        for kind in [Kind.sealed, .filesPartial] + (alsoFiles ? [.files] : []) {
            try directory.remove(name(kind, key))
        }
    }
}

extension CacheDirectory {
    /// A store, finished or not, and what has become of it.
    struct Entry {
        enum State: Equatable {
            case complete, outOfDate, unfinished
            /// A file of its dataset isn't there any more.
            case datasetMissing(String)
            /// Of an older format of stores, which `build` builds again.
            case olderFormat(Int)
            /// Of a newer version's format: not this program's to judge.
            case newerFormat(Int)
            /// Eyrie's, and damaged.
            case unreadable(String)
            /// Has a store's name, and nothing says that Eyrie made it.
            case foreign(String)
        }

        let key: String
        let path: String
        let state: State
        let bytes: Int
        let manifest: StoreManifest?

        var isForeign: Bool { if case .foreign = state { true } else { false } }
        var isNewer: Bool { if case .newerFormat = state { true } else { false } }
    }

    /// Every store and every unfinished one, sorted by name.
    func entries() throws -> [Entry] {
        var entries: [Entry] = []
        for key in try keys([.store, .partial]) {
            let hasLock = try hasLock(key)
            entries += try [Kind.store, .partial].compactMap { try entry($0, key, hasLock: hasLock) }
        }
        return entries
    }

    func hasLock(_ key: String) throws(FileError) -> Bool { try directory.status(of: name(.lock, key))?.kind == .file }

    /// A finished or unfinished store as it is now; nil if there is none.
    ///
    /// - Parameter hasLock: Whether a build has left its lock there: what else has such a name may be anybody's.
    func entry(_ kind: Kind, _ key: String, hasLock: Bool) throws -> Entry? {
        guard let status = try directory.status(of: name(kind, key)) else { return nil }
        let path = path(kind, key)
        func entry(_ state: Entry.State, _ manifest: StoreManifest? = nil) -> Entry {
            Entry(key: key, path: path, state: state, bytes: status.size, manifest: manifest)
        }
        guard status.kind == .file else { return entry(.foreign("isn't a regular file")) }
        do {
            guard kind == .store else {
                return entry(.unfinished, try SampleStoreWriter.manifest(ofUnfinished: path))
            }
            let manifest = try SampleStore(reading: path).manifest
            return entry(try Self.state(manifest), manifest)
        } catch let error as StoreFormatError {
            return entry(error.isNewer ? .newerFormat(error.format) : .olderFormat(error.format))
        } catch let error as Interrupted {
            throw error
        } catch {
            // The errors of a store begin with its path, which whoever reads this knows.
            let text = "\(error)"
            let message = text.hasPrefix("\(path): ") ? String(text.dropFirst(path.utf8.count + 2)) : text
            return entry(!hasLock ? .foreign(message) : kind == .partial ? .unfinished : .unreadable(message))
        }
    }

    private static func state(_ manifest: StoreManifest) throws -> Entry.State {
        let paths = manifest.files.map(\.path)
        if let missing = paths.first(where: { !fileExists($0) }) { return .datasetMissing(missing) }
        do {
            return try StoreLocation.check(manifest, dataPaths: paths).change == nil ? .complete : .outOfDate
        } catch let error as Interrupted {
            throw error
        } catch {
            return .outOfDate
        }
    }
}

extension CacheDirectory.Entry.State: CustomStringConvertible {
    var description: String {
        switch self {
        case .datasetMissing(let path): "dataset missing: \(path)"
        case .unreadable(let message), .foreign(let message): "\(name): \(message)"
        case .olderFormat(let format), .newerFormat(let format): "\(name) \(format)"
        default: name
        }
    }

    /// The state in a word or two, without why.
    var name: String {
        switch self {
        case .complete: "complete"
        case .outOfDate: "out of date"
        case .unfinished: "unfinished"
        case .datasetMissing: "dataset missing"
        case .olderFormat: "older format"
        case .newerFormat: "newer format"
        case .unreadable: "unreadable"
        case .foreign: "foreign"
        }
    }
}

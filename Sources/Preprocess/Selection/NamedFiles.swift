import Shared

/// A dataset's files, by what people call them: a path as they gave it, where it leads, or the end of either.
struct NamedFiles {
    /// As the command line has them, patterns and directories being their files.
    private let given: [String]
    /// From the root and without links.
    let paths: [String]

    init(_ dataPaths: [String]) {
        given = StoreLocation.expand(dataPaths)
        paths = given.map(absolutePath)
    }

    /// The numbers of the files that have this path or name.
    func called(_ name: String) -> [Int] {
        let path = absolutePath(name)
        return paths.indices.filter { file in
            paths[file] == path || [given[file], paths[file]].contains { $0 == name || $0.hasSuffix("/\(name)") }
        }
    }

    /// The numbers of the files in this directory.
    func within(_ directory: String) -> [Int] {
        let place = absolutePath(directory) + "/"
        return paths.indices.filter { file in
            paths[file].hasPrefix(place) || "\(absolutePath(Shared.directory(of: given[file])))/".hasPrefix(place)
        }
    }
}

import Foundation
import TestSupport
import Testing

/// The folders of each target are in the order that CONTRIBUTING.md gives: each uses those before it and none after it.
struct FoldersTests {
    private static let root = Fixtures.folder.deletingLastPathComponent()

    /// The order of a target's folders: what follows its name in the block of CONTRIBUTING.md that begins with `Shared:`.
    private static func order(of target: String) throws -> [String] {
        let text = try String(contentsOf: root.appending(path: "CONTRIBUTING.md"), encoding: .utf8)
        let block = text.components(separatedBy: "```").first { $0.hasPrefix("\nShared:") }
        var words = try #require(block).split { $0.isWhitespace }.drop { $0 != "\(target):" }.dropFirst()
        words = words.prefix { !$0.hasSuffix(":") }
        return words.filter { $0 != "<-" }.map(String.init)
    }

    /// A file's folder, and its text without comments and string literals.
    private struct Source {
        let path: String
        /// How many folders it is within.
        let depth: Int
        let folder: String
        let file: String
        let text: String

        init(_ url: URL, below root: URL) throws {
            self.path = String(url.path.dropFirst(root.path.count + 1))
            let path = self.path.split(separator: "/").map(String.init)
            depth = path.count - 1
            folder = path.dropLast().prefix(2).joined(separator: "/")
            file = path.last ?? ""
            text = try String(contentsOf: url, encoding: .utf8)
                .replacing(#/"""(.|\n)*?"""/#, with: #""""#).replacing(#/"(\\.|[^"\\\n])*"/#, with: "")
                .replacing(#/\/\/[^\n]*/#, with: "")
        }

        /// The names that it declares for other files.
        var declarations: Set<String> {
            let declaration =
                #/^(?<modifiers>(?:@\w+(?:\([^)]*\))?\s+|public\s+|package\s+|internal\s+|final\s+|indirect\s+|nonisolated\s+|fileprivate\s+|private\s+)*)(?:class|struct|enum|protocol|actor|typealias|func|let|var)\s+(?<name>\w+)/#
            return Set(
                text.matches(of: declaration.anchorsMatchLineEndings()).filter { !$0.modifiers.contains("private") }
                    .map { String($0.name) })
        }

        var words: Set<Substring> { Set(text.matches(of: #/[A-Za-z_]\w*/#).map(\.output)) }
        var imports: Set<Substring> { Set(text.matches(of: #/import (\w+)/#).map(\.output.1)) }
    }

    private static func sources(of target: String) throws -> [Source] {
        let folder = root.appending(path: "Sources/\(target)").resolvingSymlinksInPath()
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
            .map { try Source($0.resolvingSymlinksInPath(), below: folder) }
    }

    @Test(arguments: ["Shared", "Preprocess", "Trainer"])
    func eachUsesOnlyThoseBeforeIt(target: String) throws {
        let order = try Self.order(of: target)
        // What stands in no folder begins the program, and uses them all.
        let sources = try Self.sources(of: target).filter { !$0.folder.isEmpty }
        #expect(Set(sources.map(\.folder)) == Set(order), "CONTRIBUTING.md names every folder of \(target)")
        var declaredIn: [String: Set<String>] = [:]
        for source in sources {
            for name in source.declarations { declaredIn[name, default: []].insert(source.folder) }
        }
        #expect(declaredIn.count > 50)
        let floor = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        for source in sources {
            guard let own = floor[source.folder] else { continue }
            for word in source.words {
                // A name that several folders declare doesn't tell which one is meant.
                guard let folders = declaredIn[String(word)], folders.count == 1, let used = folders.first,
                    let other = floor[used]
                else { continue }
                #expect(
                    other <= own, "\(source.folder)/\(source.file) uses \(word) of \(used), which is after it")
            }
        }
    }

    /// A draft's architecture is named by its folder and by its line in the registry alone, unless another one builds on
    /// it: training, evaluation and plans work for any.
    @Test func anArchitectureOfDraftsIsNamedByTheRegistryAlone() throws {
        let (sources, seam) = (try Self.sources(of: "Trainer"), "Models/Draft/")
        let own = Dictionary(grouping: sources.filter { $0.path.hasPrefix(seam) && $0.depth > 2 }) {
            $0.path.split(separator: "/")[2]
        }
        let others = sources.filter { !($0.path.hasPrefix(seam) && $0.depth > 2) }
        #expect(own["Eagle3"] != nil)
        for (folder, files) in own {
            let names = files.reduce(into: Set<String>()) { $0.formUnion($1.declarations) }
            #expect(names.count > 1)
            for source in others {
                let used = source.words.filter { names.contains(String($0)) || $0 == "tttLength" }
                let wanted = source.path == "\(seam)DraftRegistry.swift" ? 1 : 0
                #expect(used.count == wanted, "\(source.path) uses \(used.sorted()) of \(folder)")
            }
        }
    }

    /// Templates know nothing of the programs that render them; and the programs nothing of each other.
    @Test(arguments: [("Jinja", ["Glibc"]), ("Shared", nil), ("Preprocess", nil), ("Trainer", nil)])
    func targetsImportOnlyWhatIsBelowThem(target: String, only: [String]?) throws {
        let imports = Set(try Self.sources(of: target).flatMap(\.imports).map(String.init))
        let allowed: [String: Set<String>] = [
            "Jinja": [], "Shared": [], "Preprocess": ["Jinja", "Shared"], "Trainer": ["Shared"],
        ]
        let targets: Set = ["Jinja", "Shared", "Preprocess", "Trainer"]
        #expect(imports.intersection(targets) == allowed[target])
        if let only { #expect(imports == Set(only)) }
    }
}

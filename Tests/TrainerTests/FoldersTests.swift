import Foundation
import TestSupport
import Testing

/// The trainer's folders stand in the order that CONTRIBUTING.md gives: each uses those before it and none after it.
struct FoldersTests {
    private static let root = Fixtures.folder.deletingLastPathComponent()

    /// The order in CONTRIBUTING.md: the lines of the block that begins with `Tensor`, joined by arrows.
    private static func order() throws -> [String] {
        let text = try String(contentsOf: root.appending(path: "CONTRIBUTING.md"), encoding: .utf8)
        let block = text.components(separatedBy: "```").first { $0.hasPrefix("\nTensor ") }
        let words = try #require(block).split { $0.isWhitespace }.map(String.init)
        return words.filter { $0 != "<-" }
    }

    /// A file's folder, and its text without comments and string literals.
    private struct Source {
        let folder: String
        let file: String
        let text: String

        init(_ url: URL, below root: URL) throws {
            let path = url.path.dropFirst(root.path.count + 1).split(separator: "/").map(String.init)
            folder = path.dropLast().joined(separator: "/")
            file = path.last ?? ""
            text = try String(contentsOf: url, encoding: .utf8)
                .replacing(#/"""(.|\n)*?"""/#, with: #""""#).replacing(#/"(\\.|[^"\\\n])*"/#, with: "")
                .replacing(#/\/\/[^\n]*/#, with: "")
        }

        /// The names that it declares for other files.
        var declarations: Set<String> {
            let declaration =
                #/^(?<modifiers>(?:@\w+\s+|final\s+|indirect\s+|nonisolated\s+|fileprivate\s+|private\s+)*)(?:class|struct|enum|protocol|actor|typealias|func|let|var)\s+(?<name>\w+)/#
            return Set(
                text.matches(of: declaration.anchorsMatchLineEndings()).filter { !$0.modifiers.contains("private") }
                    .map { String($0.name) })
        }

        var words: Set<Substring> { Set(text.matches(of: #/[A-Za-z_]\w*/#).map(\.output)) }
    }

    @Test func eachUsesOnlyThoseBeforeIt() throws {
        let order = try Self.order()
        let trainer = Self.root.appending(path: "Sources/Trainer")
        let files = try #require(FileManager.default.enumerator(at: trainer, includingPropertiesForKeys: nil))
        let sources = try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
            .map { try Source($0, below: trainer) }.filter { !$0.folder.isEmpty }
        #expect(Set(sources.map(\.folder)) == Set(order), "CONTRIBUTING.md names every folder")
        var declaredIn: [String: Set<String>] = [:]
        for source in sources {
            for name in source.declarations { declaredIn[name, default: []].insert(source.folder) }
        }
        #expect(declaredIn.count > 150)
        let floor = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        for source in sources {
            let own = try #require(floor[source.folder])
            for word in source.words {
                // A name that several folders declare doesn't tell which one is meant.
                guard let folders = declaredIn[String(word)], folders.count == 1, let used = folders.first else {
                    continue
                }
                #expect(
                    try #require(floor[used]) <= own,
                    "\(source.folder)/\(source.file) uses \(word) of \(used), which stands above it")
            }
        }
    }
}

import Foundation
import TestSupport
import Testing

/// The folders of a target depend one way: no two use each other, directly or through others.
struct FolderCirclesTests {
    private static let sources = Fixtures.folder.deletingLastPathComponent().appending(path: "Sources")

    /// A file's text without comments and string literals.
    private static func bare(_ url: URL) throws -> String {
        try String(contentsOf: url, encoding: .utf8)
            .replacing(#/"""(.|\n)*?"""/#, with: #""""#).replacing(#/"(\\.|[^"\\\n])*"/#, with: "")
            .replacing(#/\/\/[^\n]*/#, with: "")
    }

    /// Which folder uses which, by the names that only one of them declares for other files.
    private static func uses(_ target: String) throws -> [String: Set<String>] {
        let declaration =
            #/^(?<modifiers>(?:@\w+\s+|public\s+|package\s+|final\s+|indirect\s+|fileprivate\s+|private\s+)*)(?:class|struct|enum|protocol|actor|typealias|func|let|var)\s+(?<name>\w+)/#
            .anchorsMatchLineEndings()
        let root = sources.appending(path: target)
        let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        var words: [String: Set<String>] = [:]
        var declaredIn: [String: Set<String>] = [:]
        for case let file as URL in files where file.pathExtension == "swift" {
            let folder = file.deletingLastPathComponent().lastPathComponent
            let text = try bare(file)
            words[folder, default: []].formUnion(text.matches(of: #/[A-Za-z_]\w*/#).map { String($0.output) })
            for match in text.matches(of: declaration) where !match.modifiers.contains("private") {
                declaredIn[String(match.name), default: []].insert(folder)
            }
        }
        return words.reduce(into: [:]) { uses, entry in
            let used = entry.value.compactMap { word in
                declaredIn[word].flatMap { $0.count == 1 ? $0.first : nil }
            }
            uses[entry.key] = Set(used).subtracting([entry.key])
        }
    }

    /// The folders that are in a circle or above one: those that can't be put into an order.
    private static func withoutOrder(_ uses: [String: Set<String>]) -> [String] {
        var rest = uses
        while let (free, _) = rest.first(where: { $0.value.isDisjoint(with: rest.keys) }) { rest[free] = nil }
        return rest.keys.sorted()
    }

    @Test(arguments: ["Shared", "Preprocess", "Jinja"]) func noFoldersUseEachOther(target: String) throws {
        let uses = try Self.uses(target)
        #expect(Self.withoutOrder(uses) == [], "\(uses)")
        #expect(target == "Jinja" || uses.values.map(\.count).reduce(0, +) > 8)
    }

    @Test func circlesAreFound() {
        #expect(Self.withoutOrder(["a": ["b"], "b": ["c"], "c": ["b"], "d": []]) == ["a", "b", "c"])
        #expect(Self.withoutOrder(["a": ["b", "c"], "b": ["c"], "c": []]) == [])
    }
}

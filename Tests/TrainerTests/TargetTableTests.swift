import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// The table of targets in Documentation/Targets.md is what the registry and the fixtures say.
///
/// `EYRIE_WRITE_TABLES=1 scripts/test.sh --filter TargetTable` writes it again.
struct TargetTableTests {
    private static let document = Fixtures.folder.deletingLastPathComponent().appending(
        path: "Documentation/Targets.md")
    private static let begin = "<!-- Written by TargetTableTests. -->\n"
    private static let end = "<!-- End of what is written. -->\n"

    /// Published weights that were compared with transformers, by scripts/compare_target.sh.
    private static let realWeights = [
        "LlamaForCausalLM": "SmolLM2-135M-Instruct", "Gemma3ForCausalLM": "Gemma 3 270M, Q4_K_M",
    ]

    private var table: String {
        get throws {
            let folders = Fixtures.folder.appending(path: "targets").path
            var goldens: [String: [String]] = [:]
            for folder in try listDirectory(folders) {
                let configuration = try ModelConfiguration(directory: "\(folders)/\(folder)")
                for architecture in configuration.architectures { goldens[architecture, default: []].append(folder) }
            }
            let packed = try GGUFGoldenTests.families.map { family in
                try GGUFModel(GGUFGoldenTests.path(family)).configuration.root.required("architectures").elements[0]
                    .asString()
            }
            let sizes = TargetGoldenTests.tpSizes.map(String.init).joined(separator: ", ")
            let rows = TargetModelRegistry.architectures.keys.sorted().map { architecture in
                let names = (goldens[architecture] ?? []).map { "`\($0)`" }.joined(separator: ", ")
                let cells = [
                    "`\(architecture)`", names, sizes, packed.contains(architecture) ? "yes" : "no",
                    Self.realWeights[architecture] ?? "none",
                ]
                return "| \(cells.joined(separator: " | ")) |\n"
            }
            return """
                | architecture | reference numbers in `fixtures/targets` | at `--tp-size` | from GGUF | real weights tried |
                | --- | --- | --- | --- | --- |

                """ + rows.joined()
        }
    }

    @Test func theDocumentsTableIsTrue() throws {
        let table = try table
        let text = try String(contentsOf: Self.document, encoding: .utf8)
        let first = try #require(text.range(of: Self.begin))
        let last = try #require(text.range(of: Self.end))
        let range = first.upperBound..<last.lowerBound
        if ProcessInfo.processInfo.environment["EYRIE_WRITE_TABLES"] != nil {
            try text.replacingCharacters(in: range, with: table).write(
                to: Self.document, atomically: true, encoding: .utf8)
        } else {
            #expect(text[range] == table, "Documentation/Targets.md is stale: EYRIE_WRITE_TABLES=1 writes it again")
        }
    }
}

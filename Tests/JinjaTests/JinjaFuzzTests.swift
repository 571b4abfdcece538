import Foundation
import Shared
import TestSupport
import Testing

@testable import Jinja

/// Templates with pieces changed, cut out and doubled render or are refused, and end in any case.
struct JinjaFuzzTests {
    private static let pieces = [
        "{%", "%}", "{{", "}}", "-", "|", "(", ")", "[", "'", "\"", "\\", " is ", " for ", "\u{e9}", "\0", "9",
    ]

    @Test func brokenTemplatesAreRefusedInOrder() throws {
        let folder = Fixtures.folder.appending(path: "chat_templates").path(percentEncoded: false)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names.count == 47)
        let sources = try names.map { try readFile("\(folder)/\($0)") }
        let message = Value.mapping(
            Mapping([("role", .string("user")), ("content", .string("Hi <think>x</think> é"))], tag: 0))
        let variables: [String: Value] = [
            "messages": .list(List([message, message])), "bos_token": .string("<s>"),
            "add_generation_prompt": .bool(true),
        ]
        var (refused, rendered) = (0, 0)
        try Fuzzing("jinja", iterations: 1900).run { generator in
            let choice = Int.random(in: 0..<names.count, using: &generator)
            let bytes = Self.damaged(sources[choice], using: &generator)
            do throws(JinjaError) {
                let template = try Template(utf8: bytes, name: names[choice])
                _ = try template.render(variables, limits: Limits(steps: 100_000, bytes: 1 << 20))
                rendered += 1
            } catch {
                // The position is one of the template's.
                let lines = Lexer.normalized(bytes).split(separator: 0x0A, omittingEmptySubsequences: false)
                #expect(error.line <= lines.count && error.column <= lines[error.line - 1].count + 1, "\(error)")
                refused += 1
            }
        }
        // Both are common, unless a single input is tried again.
        #expect(refused + rendered == 1 || (refused > 10 && rendered > 10))
    }

    private static func damaged(_ source: [UInt8], using generator: inout SplitMix64) -> [UInt8] {
        var bytes = source
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            let end = min(bytes.count, position + Int.random(in: 0...20, using: &generator))
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes.removeSubrange(position..<end)
            case 1: bytes.insert(contentsOf: pieces.randomElement(using: &generator)?.utf8 ?? "".utf8, at: position)
            default: bytes.insert(contentsOf: Array(bytes[position..<end]), at: position)
            }
            if bytes.isEmpty { bytes = [0x20] }
        }
        return bytes
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Jinja

struct MutationTests {
    /// Templates with pieces changed, cut out and doubled render or are refused, and end in any case.
    @Test func brokenTemplatesAreRefusedInOrder() throws {
        let folder = Fixtures.folder.appending(path: "chat_templates").path(percentEncoded: false)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names.count == 47)
        let message = Value.mapping(
            Mapping([("role", .string("user")), ("content", .string("Hi <think>x</think> é"))], tag: 0))
        let variables: [String: Value] = [
            "messages": .list([message, message]), "bos_token": .string("<s>"), "add_generation_prompt": .bool(true),
        ]
        let pieces = [
            "{%", "%}", "{{", "}}", "-", "|", "(", ")", "[", "'", "\"", "\\", " is ", " for ", "\u{e9}", "\0", "9",
        ]
        var random = SplitMix64(seed: 7)
        var (refused, rendered) = (0, 0)
        for name in names {
            let source = try readFile("\(folder)/\(name)")
            for _ in 0..<40 {
                var bytes = source
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    let end = min(bytes.count, place + Int.random(in: 0...20, using: &random))
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: bytes.removeSubrange(place..<end)
                    case 1: bytes.insert(contentsOf: pieces.randomElement(using: &random)?.utf8 ?? "".utf8, at: place)
                    default: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
                    }
                    if bytes.isEmpty { bytes = [0x20] }
                }
                do {
                    let template = try Template(utf8: bytes, name: name)
                    _ = try template.render(variables, limits: Limits(steps: 100_000, bytes: 1 << 20))
                    rendered += 1
                } catch {
                    #expect(error.line >= 1 && error.column >= 1 && !error.message.isEmpty)
                    refused += 1
                }
            }
        }
        #expect(refused > 200 && rendered > 200)
    }
}

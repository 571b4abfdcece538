import Foundation
import Shared
import TestSupport
import Testing

@testable import Jinja
@testable import Preprocess

/// Templates against what Hugging Face's environment renders of them.
struct TemplateTests {
    /// What the exceptions of Python's are here.
    private static let kinds: [String: [JinjaError.Kind]] = [
        "TemplateSyntaxError": [.syntax], "TemplateAssertionError": [.syntax], "SyntaxError": [.syntax],
        "UndefinedError": [.undefined], "TypeError": [.type], "ValueError": [.value], "KeyError": [.value],
        "ZeroDivisionError": [.value], "SecurityError": [.unsafe], "TemplateRuntimeError": [.runtime],
        "TemplateError": [.raised], "RecursionError": [.limit], "OverflowError": [.limit, .value],
    ]

    /// Small templates that use every part of the language, many of them wrongly.
    @Test func equalsJinja2() throws {
        let file = try Gzip.json(Fixtures.folder.appending(path: "jinja/cases.json.gz"))
        let context = try #require(file.root.value["context"])
        let variables = Dictionary(
            uniqueKeysWithValues: context.members.map {
                (String(decoding: $0.key, as: UTF8.self), JSONText($0.value).jinja)
            })
        var (rendered, refused) = (0, 0)
        for entry in try #require(file.root.value["cases"]).elements {
            let source = try #require(entry["template"]?.string)
            let result = Result { try Template(source).render(variables).text }
            if let expected = entry["rendered"]?.string {
                #expect(throws: Never.self, "\(source)") { try result.get() }
                #expect((try? result.get()) == expected, "\(source)")
                rendered += 1
            } else {
                let error = try #require(entry["error"]?.string)
                let refusal = #expect(throws: JinjaError.self, "\(source): \(error)") { try result.get() }
                let kinds = try #require(Self.kinds[String(error.prefix { $0 != ":" })], "\(error)")
                #expect(refusal.map { kinds.contains($0.kind) } == true, "\(source): \(error), here \(refusal)")
                refused += 1
            }
        }
        #expect(rendered > 500 && refused > 500)
    }

    /// The chat templates of published models.
    @Test func equalsTransformers() throws {
        let file = try Gzip.json(Fixtures.goldens.appending(path: "text/chat_templates.json.gz"))
        let conversations = Array(try #require(file.root.value["conversations"]).elements)
        // strftime_now was pinned to this day.
        let environment = Environment(now: 1_721_952_000)
        var compared = 0
        for (name, results) in try file.root.required("templates").members {
            let path = Fixtures.folder.appending(path: "chat_templates/\(name)").path(percentEncoded: false)
            let template = try Template(utf8: try readFile(path), name: name)
            for (i, (conversation, expected)) in zip(conversations, results.value.elements).enumerated() {
                let variables: [String: Value] = [
                    "messages": JSONText(try #require(conversation["messages"])).jinja,
                    "tools": conversation["tools"].map { JSONText($0).jinja } ?? .none, "documents": .none,
                    "add_generation_prompt": .bool(conversation["add_generation_prompt"]?.bool ?? false),
                    "bos_token": .string("<BOS>"), "eos_token": .string("<EOS>"),
                    "date_string": .string("26 Jul 2024"),
                ]
                let result = Result { try template.render(variables, environment: environment).text }
                if let text = expected["rendered"]?.string {
                    #expect(throws: Never.self, "\(name), conversation \(i)") { try result.get() }
                    #expect((try? result.get()) == text, "\(name), conversation \(i)")
                } else {
                    let refusal = #expect(throws: JinjaError.self, "\(name), conversation \(i)") { try result.get() }
                    #expect(refusal?.message == expected["error"]?.string, "\(name), conversation \(i)")
                }
                compared += 1
            }
        }
        #expect(compared == 47 * 12)
    }
}

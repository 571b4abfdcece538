import Foundation
import TestSupport
import Testing

@testable import Jinja

struct BudgetTests {
    /// A filter or method that made a text or a list without its budget would be unbounded.
    @Test func onlyTheBudgetMakesTextsAndLists() throws {
        // Where the constructors are, and the template's own source is read.
        let exceptions: Set<String> = [
            "Text.swift", "Value.swift", "Mapping.swift", "Lexer.swift", "Literals.swift", "Parser+Expressions.swift",
            "Template.swift",
        ]
        // Names of a template's source, which parsing makes once.
        let allowed = ["AttributeName(Text(name))", "name: Text(attribute)", "'\\(Text(", "Text(name: "]
        let folder = Fixtures.folder.deletingLastPathComponent().appending(path: "Sources/Jinja")
        var files = 0
        for case let file as URL in try #require(
            FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        where file.pathExtension == "swift" && !exceptions.contains(file.lastPathComponent) {
            files += 1
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let code = allowed.reduce(String(line)) { $0.replacing($1, with: "") }.prefix { $0 != "/" }
                #expect(code.firstMatch(of: /\b(Text|List|Mapping)\(/) == nil, "\(file.lastPathComponent): \(line)")
            }
        }
        #expect(files > 20)
    }

    /// What a loop makes and drops takes no memory from what comes after.
    @Test(arguments: [
        "'a' * 100000", "[1] * 10000", "range(10000)|list|length", "{'a': 'b' * 50000}", "('a' * 100000).upper()",
        "('a ' * 50000).split(' ', 3)", "('a' * 30000)|replace('a', 'bc')", "messages[1:]", "messages|tojson",
        "messages|map(attribute='content')|join",
    ])
    func whatIsReleasedIsGivenBack(expression: String) throws {
        let messages = Value.list(
            List((0..<100).map { .mapping(Mapping([("content", .string(Text("message \($0) \(Array(0..<80))")))])) }))
        let source = "{% for i in range(300) %}{% set x = \(expression) %}{% endfor %}ok"
        let limits = Limits(memory: 1 << 20)
        #expect(try Template(source).render(["messages": messages], limits: limits).text == "ok")
    }

    /// What is kept isn't.
    @Test(arguments: ["'a' * 100000", "[1] * 10000", "{'a': 'b' * 50000}", "range(9)|map('string')|list"])
    func whatIsHeldIsPaidFor(expression: String) throws {
        let source =
            "{% set n = namespace(x=[]) %}{% for i in range(5000) %}{% set n.x = [n.x|length, \(expression), n.x][1:2] + n.x %}{% endfor %}"
        let error = #expect(throws: JinjaError.self) {
            try Template(source).render([:], limits: Limits(memory: 1 << 20))
        }
        #expect(error?.message == "rendering takes more than 1048576 bytes of memory")
    }

    /// Joining was once charged for all that was joined before, with each element.
    @Test func longConversationsAreJoined() throws {
        let message = Value.mapping(
            Mapping([("role", .string("user")), ("content", .string(Text(String(repeating: "word ", count: 80))))]))
        let source = """
            {{ messages|map(attribute='content')|join('\n')|length }}\
            {%- for m in messages %}{% set x = ['<', m.role, '>', m.content]|join %}{% if loop.last %}{{ x|length }}{% endif %}\
            {% endfor %}{{ messages|map(attribute='content')|join|length ~ '' ~ (messages|length) }}
            """
        let messages = Value.list(List(Array(repeating: message, count: 5000)))
        #expect(
            try Template(source).render(["messages": messages], limits: Limits(steps: 2_000_000)).text
                == "200499940620000005000")
    }

    @Test func builtTextsAreThoseOfTheirParts() throws {
        let budget = Budget(Limits(memory: 10_000))
        var builder = TextBuilder(budget)
        for _ in 0..<300 { try builder.append(UInt8(ascii: "a")) }
        try builder.append("é", times: 3)
        try builder.append("🙂" as Unicode.Scalar)
        #expect(try builder.text().string == String(repeating: "a", count: 300) + "ééé🙂")
        // All of it was released, and given back but for the small ones.
        #expect(throws: Never.self) { try budget.take(bytes: 9_500) }
        #expect(throws: Failure.self) { try budget.take(bytes: .max) }
        var large = TextBuilder(budget)
        #expect(throws: Failure.self) { try large.append("ab", times: .max) }
        #expect(throws: Failure.self) { try budget.pay(elements: .max) }
    }
}

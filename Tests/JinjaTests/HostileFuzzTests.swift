import Shared
import TestSupport
import Testing

@testable import Jinja

/// Templates made at random of all that Jinja has, with values at the ends of what there is, end in any case.
struct HostileFuzzTests {
    @Test func randomTemplatesEnd() throws {
        let variables = HostileValues.variables
        var (rendered, refused) = (0, Set<JinjaError.Kind>())
        try Fuzzing("jinja-hostile", iterations: 3000).run { generator in
            let source = Self.template(using: &generator)
            do throws(JinjaError) {
                _ = try Template(source).render(variables, limits: HostileValues.limits)
                rendered += 1
            } catch {
                #expect(error.line == 1 && error.column <= source.unicodeScalars.count + 1, "\(source): \(error)")
                refused.insert(error.kind)
            }
        }
        // A run of many inputs meets all kinds; one of a single input is one that is tried again.
        #expect(rendered + refused.count == 1 || refused.isSuperset(of: [.limit, .type, .value, .undefined]))
    }

    /// A template of one line that Jinja can parse.
    private static func template(using generator: inout SplitMix64) -> String {
        let value = expression(depth: 3, using: &generator)
        let other = expression(depth: 2, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: return "{% for x in \(value) %}{{ x }}{{ loop.changed(x) }}{% set one = \(other) %}{% endfor %}"
        case 1:
            return "{% set n = namespace(x=\(value)) %}{% for i in range(300) %}{% set n.x = \(other) %}"
                + "{% set n.x = [n.x, \(applied("n.x", depth: 1, using: &generator))] %}{% endfor %}{{ n.x }}"
        case 2: return "{% macro m(a, b=\(value)) %}{{ a ~ b }}{{ \(other) }}{% endmacro %}{{ m(\(other)) }}{{ m() }}"
        case 3:
            return "{% set x | upper %}{{ \(value) }}{% endset %}{% filter trim %}{{ x }}{{ \(other) }}{% endfilter %}"
        case 4: return "{% for x in \(value) recursive %}{{ loop(\(other)) }}{{ loop.cycle(x, one) }}{% endfor %}"
        case 5: return "{% with x = \(value) %}{{ \(applied("x", depth: 2, using: &generator)) }}{% endwith %}"
        default: return "{{ \(value) }}"
        }
    }

    private static func expression(depth: Int, using generator: inout SplitMix64) -> String {
        guard depth > 0 else { return HostileValues.names.randomElement(using: &generator) ?? "one" }
        return applied(expression(depth: depth - 1, using: &generator), depth: depth, using: &generator)
    }

    /// Something done to a value.
    private static func applied(_ value: String, depth: Int, using generator: inout SplitMix64) -> String {
        let arguments = (0..<Int.random(in: 0..<3, using: &generator)).map { _ in
            expression(depth: depth - 1, using: &generator)
        }
        let kinds = [HostileValues.operations, HostileValues.operators, HostileValues.functions]
        let operation =
            kinds[[0, 0, 0, 1, 1, 2].randomElement(using: &generator) ?? 0].randomElement(using: &generator) ?? "$"
        let operand = "(\(value))"
        return operation.contains("$")
            ? "(\(operation.applied(to: operand, arguments.map { "(\($0))" })))"
            : operation.applied(to: "", [operand] + arguments)
    }
}

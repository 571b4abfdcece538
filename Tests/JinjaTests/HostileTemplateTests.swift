import Foundation
import Shared
import TestSupport
import Testing

@testable import Jinja

/// Nothing that a template or its data ask for ends the process, hangs it or takes all of its memory.
struct HostileTemplateTests {
    private let variables = HostileValues.variables

    /// Renders, and holds an error to be about a position of the template.
    private func tries(_ source: String, limits: Limits = HostileValues.limits) {
        do throws(JinjaError) {
            let text = try Template(source).render(variables, limits: limits).bytes
            #expect(text.count <= limits.bytes, "\(source)")
        } catch {
            let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.indices.contains(error.line - 1), "\(source): \(error)")
            #expect(error.column <= (lines.last?.unicodeScalars.count ?? 0) + 1, "\(source): \(error)")
        }
    }

    @Test(.mayNotHang, arguments: HostileValues.operations)
    func everyOperationEndsForEveryValueAndArgument(operation: String) {
        for value in HostileValues.names {
            tries("{{ \(operation.applied(to: value)) }}")
            guard operation.contains("@") else { continue }
            for first in HostileValues.fewArguments { tries("{{ \(operation.applied(to: value, [first])) }}") }
        }
        guard operation.contains("@") else { return }
        for value in ["largest", "letter", "spaces", "wide", "html", "format", "list", "mapping"] {
            for first in HostileValues.arguments { tries("{{ \(operation.applied(to: value, [first])) }}") }
            for first in HostileValues.fewArguments {
                for second in ["smallest", "largest", "long"] {
                    tries("{{ \(operation.applied(to: value, [first, second])) }}")
                }
            }
        }
    }

    @Test(.mayNotHang, arguments: HostileValues.functions)
    func everyFunctionEndsForAllArguments(function: String) {
        tries("{{ \(function.applied(to: "")) }}")
        for first in HostileValues.names {
            tries("{{ \(function.applied(to: "", [first])) }}")
            tries("{{ \(function.applied(to: "", ["**\(first)"])) }}{{ \(function.applied(to: "", ["*\(first)"])) }}")
        }
        for first in HostileValues.arguments {
            for second in HostileValues.arguments {
                for third in ["smallest", "minusOne", "power"] {
                    tries("{{ \(function.applied(to: "", [first, second, third]))|list|length }}")
                }
            }
        }
    }

    @Test(.mayNotHang, arguments: HostileValues.operators)
    func everyOperatorEndsForAllPairs(symbol: String) {
        for left in HostileValues.names {
            for right in HostileValues.names { tries("{{ \(symbol.applied(to: left, [right])) }}") }
        }
    }

    /// What the library of Python's would make of them, some of it harmless, has no form in 64 bits.
    @Test(arguments: [
        ("{{ range(0, -9223372036854775807 - 1, -1) }}", 9, "the range is longer than 100000"),
        ("{{ 'a'.ljust(-9223372036854775807 - 1) }}", 13, "the integer has more than 64 bits"),
        ("{{ 'a'.rjust(-9223372036854775807 - 1) }}", 13, "the integer has more than 64 bits"),
        ("{{ 'a'.center(-9223372036854775807 - 1) }}", 14, "the integer has more than 64 bits"),
        ("{{ 'a'.zfill(-9223372036854775807 - 1) }}", 13, "the integer has more than 64 bits"),
        ("{{ '-inf'|filesizeformat }}", 11, "cannot convert float infinity to integer"),
        ("{{ 'a'|truncate(9223372036854775807) }}", 8, "the integer has more than 64 bits"),
        ("{{ -(-9223372036854775807 - 1) }}", 4, "the integer has more than 64 bits"),
        ("{{ (-9223372036854775807 - 1)|abs }}", 31, "the integer has more than 64 bits"),
        ("{{ (-9223372036854775807 - 1) // -1 }}", 31, "the integer has more than 64 bits"),
        ("{{ 2 ** 63 }}", 6, "the integer has more than 64 bits"),
        ("{{ 5000000000000000001|round(-19) }}", 24, "the integer has more than 64 bits"),
        ("{{ '%d' % (1e300,) }}", 9, "the integer has more than 64 bits"),
        ("{{ '%99999999999999999999d' % 1 }}", 29, "Too many decimal digits in format string"),
        ("{{ '%.5000f' % 1 }}", 14, "a precision of 5000 is more than 1000"),
        ("{{ 1.5|round(-400, 'ceil') }}", 8, "float division by zero"),
    ])
    func integersBeyond64BitsAreRefused(source: String, column: Int, message: String) {
        let error = #expect(throws: JinjaError.self) { try Template(source).render([:]) }
        #expect(error?.description == "template:1:\(column): \(message)")
    }

    @Test(arguments: [
        ("{{ '%d' % 9223372036854775807 }}", "9223372036854775807"),
        ("{{ '%d' % (-9223372036854775807 - 1) }}", "-9223372036854775808"),
        ("{{ 9223372036854775807 is odd }}{{ 9007199254740993 is odd }}", "TrueTrue"),
        ("{{ (-9223372036854775807 - 1) is divisibleby(-1) }}", "True"),
        ("{{ (-9223372036854775807 - 1) % -1 }}", "0"), ("{{ 9007199254740993|round(-1) }}", "9007199254740990"),
        ("{{ 25|round(-1) }} {{ 35|round(-1) }} {{ -25|round(-1) }} {{ 7|round(-99) }}", "20 40 -20 0"),
        ("{{ 1.5|round(-400) }}", "0.0"),
        (
            "{{ range(-9223372036854775807 - 1, 9223372036854775807, 4611686018427387904)|list|last }}",
            "4611686018427387904"
        ),
        ("{{ ' a  b c '.split(none, 1) }}{{ ' a b  c '.rsplit(none, 1) }}", "['a', 'b c '][' a b', 'c']"),
        (
            "{{ 'a---b'.rsplit('--', 1) }}{{ 'a---b'.rfind('--') }}{{ 'abcabc'.rpartition('ca') }}",
            "['a-', 'b']2('ab', 'ca', 'bc')"
        ),
        ("{{ 'a\tb'.expandtabs(0) }}{{ 'ab\t\tc\n\td'.expandtabs(4) }}", "abab      c\n    d"),
    ])
    func integersOf64BitsAreComputed(source: String, rendered: String) throws {
        #expect(try Template(source).render([:]).text == rendered)
    }

    /// Objects within objects, by every kind that holds others, in chains longer than any stack could release.
    @Test(
        .mayNotHang,
        arguments: [
            "joiner(n.x)", "cycler(n.x)", "cycler(n.x).next", "namespace(x=n.x)", "[n.x]", "(n.x,)", "{'a': n.x}",
            "dict(a=n.x)", "[n.x]|batch(1)|list", "[n.x]|batch(1)", "[n.x]|slice(1)", "[n.x]|map('list')",
            "[n.x].index",
            "{'a': n.x}.get", "{'a': n.x}.items()", "{'a': n.x}.values()", "[n.x]|select", "[n.x]|reverse",
            "[{'a': n.x}]|groupby('b')", "[n.x]|sort", "[n.x] + [1]", "[n.x] * 2", "joiner(namespace(x=n.x))",
        ])
    func chainsOfObjectsAreReleased(link: String) {
        let source =
            "{% set n = namespace(x=0) %}{% for i in range(99999) %}{% set n.x = \(link) %}{% endfor %}ok"
        tries(source, limits: Limits())
    }

    @Test(
        .mayNotHang,
        arguments: [
            // Callers and macros, each in a frame that holds the one before.
            """
            {% set n = namespace() %}{% macro m() %}{% set n.x = caller %}{% endmacro %}{% macro k() %}{% set p = n.x %}\
            {% call m() %}{{ p }}{% endcall %}{% endmacro %}{% for i in range(20000) %}{% set y = k() %}{% endfor %}
            """,
            """
            {% set n = namespace() %}{% macro k() %}{% set p = n.x %}{% macro i() %}{{ p }}{% endmacro %}\
            {% set n.x = i %}{% endmacro %}{% for i in range(20000) %}{% set y = k() %}{% endfor %}
            """,
            // Loops that hold themselves, and the loop before.
            "{% for i in range(9) %}{{ loop.changed(loop) }}{{ loop.changed(loop.changed) }}{% endfor %}",
            """
            {% set n = namespace(x=0) %}{% for j in range(20000) %}{% for i in [1] %}{% set y = loop.changed(n.x) %}\
            {% set n.x = loop %}{% endfor %}{% endfor %}
            """,
            """
            {% set n = namespace(x=0) %}{% macro k() %}{% set p = n.x %}{% for i in [1] recursive %}{% set n.x = loop %}\
            {{ loop([]) }}{% endfor %}{% endmacro %}{% for i in range(20000) %}{% set y = k() %}{% endfor %}
            """,
        ])
    func framesThatHoldEachOtherAreReleased(source: String) throws {
        #expect(throws: Never.self) { try Template(source).render([:], limits: Limits()) }
    }

    /// Calls within calls, each from the bottom of an expression as high as the parser allows.
    @Test(
        .mayNotHang,
        arguments: [
            "{% macro m(n) %}{{ m(n - 1)\(String(repeating: " + ''", count: 480)) }}{% endmacro %}{{ m(0) }}",
            "{% macro m() %}{{ \(String(repeating: "[", count: 190))m()\(String(repeating: "]", count: 190)) }}{% endmacro %}{{ m() }}",
            "{% macro m() %}\(String(repeating: "{% if 1 %}", count: 190)){{ m() }}\(String(repeating: "{% endif %}", count: 190)){% endmacro %}{{ m() }}",
            "{% macro m() %}{% call m() %}x{% endcall %}{{ caller() }}{% endmacro %}{% call m() %}y{% endcall %}",
            "{{ 'a'|map(*(['map'] * 90000))|list }}",
            "{% for x in [1] recursive %}{{ loop([1])\(String(repeating: "|string", count: 480)) }}{% endfor %}",
        ])
    func calmlyEndsWhatIsNestedTooDeep(source: String) {
        let error = #expect(throws: JinjaError.self) { try Template(source).render([:]) }
        #expect(error?.kind == .limit)
    }

    /// Work and memory that no statement shows.
    @Test(
        .mayNotHang,
        arguments: [
            "{% for c in 'a' * 200000000 %}{% endfor %}", "{{ ('a' * 200000000)|list|length }}",
            "{{ ('<' * 9999999)|forceescape }}", "{{ ('\"' * 9999999)|tojson }}", "{{ ('é' * 3999999)|tojson(true) }}",
            "{{ [[[[1] * 1000] * 100] * 100]|tojson(indent=1000) }}", "{{ [1]|tojson(indent=9223372036854775807) }}",
            "{% set x = 'Aa' * 99999999 %}{% for i in range(99999) %}{% set y = x|lower %}{% endfor %}",
            "{% set x = 'é' * 9999999 %}{% for i in range(99999) %}{{ x[99999] }}{% endfor %}",
            "{% set x = 'a' * 9999999 %}{% for i in range(99999) %}{% set y = ('b' ~ x) in (x ~ 'b') %}{% endfor %}",
            "{% set x = 'a ' * 9999999 %}{% for i in range(99999) %}{% set y = x.count(' a') %}{% endfor %}",
            "{% set x = 'a' * 9999999 %}{% for i in range(99999) %}{% set y = {x: 1}[x] %}{% endfor %}",
            "{% set x = 'a' * 9999999 %}{% for i in range(99999) %}{% set y = x.strip('ab') %}{% endfor %}",
            "{% set x = [0] * 999999 %}{% for i in range(99999) %}{% set y = 1 in x %}{% endfor %}",
            "{% set x = [0] * 999999 %}{% for i in range(99999) %}{% set y = x == x + [] %}{% endfor %}",
            "{% set x = [0] * 999999 %}{% for i in range(99999) %}{% set y = x[::-1] %}{% endfor %}",
            "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = n.x + ['a' * 1000000] %}{% endfor %}",
            "{% macro m(n) %}{{ 'a' * 100000000 }}{{ m(n) }}{% endmacro %}{{ m(0) }}",
            "{% for i in range(99999) %}{% for i in range(99999) %}{{ {}['a' * 100000] is defined }}{% endfor %}{% endfor %}",
            "{{ 'a'|batch(1, fill_with=[1])|list }}{{ 'a'|batch(9223372036854775807, 'x')|list }}",
            "{{ 'a'|slice(9223372036854775807)|list }}", "{{ 'a\tb'.expandtabs(9223372036854775807) }}",
            "{{ '\t\t\t\t'.expandtabs(4611686018427387904) }}",
            "{{ 'ab'.expandtabs(4611686018427387904) }}{{ 'a' * 999999999 }}",
            "{% for i in range(99999) %}{% for i in range(99999) %}{{ [\(String(repeating: "1,", count: 5000))]|length }}{% endfor %}{% endfor %}",
            "{% for i in range(99999) %}{% for i in range(99999) %}{{ \((0..<12).reduce("1") { sum, _ in "(\(sum) + \(sum))" })|string }}{% endfor %}{% endfor %}",
        ])
    func hiddenWorkIsCounted(source: String) {
        let limits = Limits(steps: 500_000, depth: 200, bytes: 16 << 20, memory: 32 << 20)
        let error = #expect(throws: JinjaError.self) { try Template(source).render([:], limits: limits) }
        #expect(error?.kind == .limit, "\(error?.description ?? "")")
    }

    /// Time stays linear in the text, so that 64 KiB take no minutes.
    @Test(.mayNotHang, arguments: ["a", "a ", "ab", "\t", "é", "<", "a\n", "%", "{}"])
    func everyOperationIsLinearInItsText(unit: String) throws {
        let text = Text(String(repeating: unit, count: (64 << 10) / unit.utf8.count))
        // Those of single characters, which have no arguments, do the same whatever the text is.
        for operation in HostileValues.operations where operation.contains("@") || unit == "a" {
            for arguments in operation.contains("@") ? [[], ["'b'"], ["t[:-1] ~ 'b'"]] : [[]] {
                _ = try? Template("{{ (\(operation.applied(to: "t", arguments)))|length }}").render(["t": .string(text)]
                )
            }
        }
    }
}

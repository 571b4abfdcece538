import Testing

@testable import Jinja

struct JinjaErrorTests {
    private func failure(_ source: String, _ variables: [String: Value] = [:], limits: Limits = Limits()) -> JinjaError?
    {
        do {
            _ = try Template(source, name: "t.jinja").render(variables, limits: limits)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("a\n{{ x.y.z }}", "t.jinja:2:6: 'x' is undefined"),
        ("{{ 'é' + 1 }}", "t.jinja:1:8: can only concatenate str (not \"int\") to str"),
        ("é{{ 1 / 0 }}", "t.jinja:1:7: division by zero"),
        ("\r\n\r\n {% nope %}", "t.jinja:3:5: unknown tag 'nope'"),
        (
            "{% if x %}\n{% for y in z %}",
            "t.jinja:2:17: expected 'endfor', got the template's end; tag 'for' isn't closed"
        ),
        ("{{ x|nope }}", "t.jinja:1:6: no filter named 'nope'"),
        ("{{ x is nope }}", "t.jinja:1:6: no test named 'nope'"),
        ("{% include 'x' %}", "t.jinja:1:4: tag 'include' is not supported: a chat template is one file"),
        ("{{ 'open }}", "t.jinja:1:4: the string isn't closed"),
        ("{{ (1, 2 }}", "t.jinja:1:10: unexpected '}', expected ')'"),
        ("{{ 9999999999999999999 }}", "t.jinja:1:4: the integer has no digits or more than 64 bits"),
        ("{{ 9223372036854775807 + 1 }}", "t.jinja:1:24: the integer has more than 64 bits"),
        ("{% macro m() %}\n{{ raise_exception('no: ' ~ 1) }}{% endmacro %}{{ m() }}", "t.jinja:2:19: no: 1"),
        ("{{ [].append(1) }}", "t.jinja:1:13: access to attribute 'append' of 'list' object is unsafe."),
    ])
    func errorsSayWhereAndWhat(source: String, message: String) {
        #expect(failure(source)?.description == message)
    }

    @Test func kindsTellRefusalsFromMistakes() {
        #expect(failure("{{ raise_exception('x') }}")?.kind == .raised)
        #expect(failure("{{ x.y }}")?.kind == .undefined)
        #expect(failure("{{ [] + 1 }}")?.kind == .type)
        #expect(failure("{{ 1 // 0 }}")?.kind == .value)
        #expect(failure("{{ [].append(1) }}")?.kind == .unsafe)
        #expect(failure("{{ x. }}")?.kind == .syntax)
        #expect(failure("{% for i in range(99999) %}{% endfor %}", limits: Limits(steps: 1000))?.kind == .limit)
    }

    /// What would take all time or memory ends with an error instead.
    @Test(arguments: [
        "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ 'x' * 100000000000 }}", "{{ [0] * 100000000000 }}", "{{ 'x'.center(100000000000) }}",
        "{{ '%99999999999d' % 1 }}", "{{ '{:99999999999}'.format(1) }}", "{{ range(100000000000) }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{% for i in range(99999) %}{{ 'x' * 10000 }}{% endfor %}", "{{ 2 ** 100000000 }}",
        "{{ 'a\tb'.expandtabs(99999999999) }}",
    ])
    func boundsHold(source: String) {
        let limits = Limits(steps: 1_000_000, depth: 200, bytes: 1 << 20)
        #expect(failure(source, limits: limits) != nil)
    }

    @Test func nestingIsBounded() {
        for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("not ", "")] {
            let source =
                "{{ " + String(repeating: open, count: 5000) + "1" + String(repeating: close, count: 5000) + "}}"
            #expect(failure(source)?.kind == .syntax)
        }
        #expect(failure("{{ 1" + String(repeating: " + 1", count: 5000) + "}}")?.kind == .syntax)
        #expect(failure("{{ x" + String(repeating: ".x", count: 5000) + "}}")?.kind == .syntax)
        #expect(failure(String(repeating: "{% if x %}", count: 5000))?.kind == .syntax)
    }

    /// Namespaces may hold each other in a ring or a long chain.
    @Test func ringsAndChainsAreLetGo() throws {
        let ring = "{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ a.b.a.b is defined }}"
        #expect(try Template(ring).render([:]).text == "True")
        let chain = "{% set n = namespace() %}{% for i in range(99999) %}{% set n.x = namespace(x=n.x) %}{% endfor %}ok"
        #expect(try Template(chain).render([:]).text == "ok")
    }
}

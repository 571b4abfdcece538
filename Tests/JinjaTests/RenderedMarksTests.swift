import Testing

@testable import Jinja

struct RenderedMarksTests {
    private let messages = Value.list(
        List([
            .mapping(Mapping([("role", .string("user")), ("content", .string("é"))], tag: 0)),
            .mapping(Mapping([("role", .string("assistant")), ("content", .string("ok"))], tag: 1)),
        ]))

    private func marks(_ source: String) throws -> (elements: [String], generations: [String], isHidden: Bool) {
        let rendered = try Template(source).render(["messages": messages])
        func text(_ range: Range<Int>) -> String { String(decoding: rendered.bytes[range], as: UTF8.self) }
        return (
            rendered.marks.elements.map { "\($0.tag):\(text($0.range))" },
            rendered.marks.generations.map(text), rendered.marks.hasHiddenGeneration
        )
    }

    @Test func elementsOfLoopsAreFoundInTheOutput() throws {
        let marks = try marks("<s>{% for m in messages %}[{{ m.content }}]{% endfor %}</s>")
        #expect(marks.elements == ["0:[é]", "1:[ok]"])
        // Parts of the list are the same messages; a loop that writes nothing doesn't count.
        let parts = try self.marks(
            "{% for m in messages %}{% endfor %}{% for m in messages[::-1] if m.role == 'assistant' %}{{ m.role }}{% endfor %}"
        )
        #expect(parts.elements == ["1:assistant"])
    }

    @Test func whatIsCapturedHasNoPlace() throws {
        let captured =
            "{% set x %}{% for m in messages %}{% generation %}a{% endgeneration %}{% endfor %}{% endset %}{{ x }}"
        let marks = try marks(captured)
        #expect(marks.elements.isEmpty && marks.generations.isEmpty && marks.isHidden)
    }

    @Test func generationsAreFoundInTheOutput() throws {
        let marks = try marks(
            "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}.{% endgeneration %}\n{% endif %}{% endfor %}"
        )
        #expect(marks.generations == ["ok."] && !marks.isHidden)
        #expect(try Template("{% generation %}x{% endgeneration %}").hasGenerationTag)
        #expect(try !Template("{{ generation }}").hasGenerationTag)
    }

    @Test func theClockIsTheEnvironments() throws {
        let template = try Template("{{ strftime_now('%d %b %Y, %H:%M') }}")
        #expect(try template.render([:], environment: Environment(now: 1_721_952_000)).text == "26 Jul 2024, 00:00")
    }
}

/// A parsed Jinja template, as Hugging Face's chat templates are written.
///
/// It means what it means to Jinja 3.1's `ImmutableSandboxedEnvironment` with `trim_blocks`, `lstrip_blocks`, loop
/// controls and the `generation` tag. It reads no files, and every rendering is bounded.
///
/// ```swift
/// let template = try Template("Hello {{ name|upper }}!", name: "greeting")
/// let text = try template.render(["name": .string("you")]).text    // "Hello YOU!"
/// ```
///
/// One thread renders a template at a time; parsing is quick enough for each to have one of its own. A rendering uses
/// at most half of the stack that threads have by default, so that it may begin wherever half of it is left.
public final class Template {
    public let name: String
    private let source: [UInt8]
    private let body: Block
    private let emptySlots: [Value]
    private let globals: [(name: String, slot: Int)]

    /// - Throws: `JinjaError` with the position of what isn't Jinja.
    public convenience init(_ source: String, name: String = "template") throws(JinjaError) {
        try self.init(utf8: Array(source.utf8), name: name)
    }

    public init(utf8 source: [UInt8], name: String) throws(JinjaError) {
        let source = Lexer.normalized(source)
        self.name = name
        self.source = source
        do throws(Failure) {
            var lexer = Lexer(normalized: source)
            var parser = Parser(try lexer.run())
            body = try parser.template()
            let scope = Scope(frameIn: nil)
            try body.resolve(scope)
            emptySlots = scope.layout.emptySlots
            globals = scope.globals
        } catch {
            throw Self.located(error, 0, source, name)
        }
    }

    /// What a rendering made.
    public struct Rendered {
        /// UTF-8.
        public var bytes: [UInt8]
        public var marks: RenderedMarks
        public var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    /// Renders the template with the names that it is given.
    ///
    /// - Throws: `JinjaError` with the position of what can't be computed, or of the template's own refusal.
    public func render(
        _ variables: [String: Value], environment: Environment = Environment(), limits: Limits = Limits()
    ) throws(JinjaError) -> Rendered {
        let rendering = Rendering(Frame(emptySlots, parent: nil), environment, limits)
        defer { rendering.finish() }
        do throws(Failure) {
            for global in globals {
                if let value = variables[global.name] {
                    rendering.frame.slots[global.slot] = value
                } else if let function = try Globals.function(global.name, rendering.budget) {
                    rendering.frame.slots[global.slot] = function
                }
            }
            _ = try body.execute(rendering)
        } catch {
            throw Self.located(error, rendering.position, source, name)
        }
        return Rendered(bytes: rendering.output, marks: rendering.marks)
    }

    /// The names that the template takes from what it is rendered with, or from Jinja's own functions.
    public var freeNames: [String] { globals.map(\.name) }

    /// Whether the template marks what the model is trained to write.
    public var hasGenerationTag: Bool { Text(source).find("endgeneration") != nil }

    private static func located(
        _ failure: Failure, _ position: Int, _ source: [UInt8], _ name: String
    ) -> JinjaError {
        let before = source.prefix(failure.position ?? position)
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        return JinjaError(
            kind: failure.kind, template: name, line: before.count { $0 == 0x0A } + 1,
            column: Text(Array(before[lineStart...])).count + 1, message: shortened(failure.message))
    }

    /// A message, which may quote values of any length, or its beginning.
    private static func shortened(_ message: String) -> String {
        let longest = 4096
        guard message.utf8.count > longest else { return message }
        return String(message.unicodeScalars.prefix(longest)) + "…"
    }
}

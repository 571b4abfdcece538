import Jinja
import Shared

/// How conversations become text and where the assistant's turns are in it: what `--chat-template` means for a model.
struct ChatFormat: Sendable {
    enum Text: Sendable {
        /// A registry entry writes the text and knows its spans.
        case entry(ChatTemplate)
        /// The model's own template writes the text; an entry's headers mark the spans in it.
        case marked(ModelTemplate, by: ChatTemplate)
        /// The model's own template writes the text; the spans are found by how it does.
        case own(ModelTemplate)
    }

    /// What `--chat-template` says where a model's own template is meant.
    static let automatic = "auto"

    let text: Text
    let settings: RenderSettings
    private let marking: SpanMarking

    /// - Parameter argument: `auto`, a `.jinja` file, a registry entry's name or a JSON file.
    /// - Throws: An error that says what is known, or what is wrong with a template.
    init(_ argument: String, _ model: ModelFiles, _ settings: RenderSettings) throws {
        self.settings = settings
        if argument == Self.automatic {
            guard let template = try ModelTemplate(model) else {
                throw TemplateError(
                    "\(model.path) has no chat template of its own; name one of "
                        + "\(TemplateRegistry.names.joined(separator: ", ")), or a file, with --chat-template")
            }
            text = .own(template)
        } else if argument.hasSuffix(".jinja") {
            text = .own(try ModelTemplate(file: argument, model))
        } else {
            let entry = try TemplateRegistry.resolve(argument)
            if let template = try ModelTemplate(model) {
                text = .marked(template, by: entry)
            } else {
                text = .entry(entry)
            }
        }
        marking =
            switch text {
            case .entry: .none
            case .marked(_, let entry): .headers(HeaderMarking(entry))
            case .own(let template): try TurnProbe.marking(of: template, settings)
            }
    }

    /// A renderer for one worker.
    func makeRenderer() throws -> any ConversationRenderer {
        if case .entry(let entry) = text {
            return try TemplateRenderer(entry, bosToken: settings.bosToken, eosToken: settings.eosToken)
        }
        guard let renderer = try makeJinjaRenderer() else { preconditionFailure("an entry renders itself") }
        return renderer
    }

    /// The renderer of a model's own template; nil where an entry writes the text.
    func makeJinjaRenderer() throws(JinjaError) -> JinjaRenderer? {
        switch text {
        case .entry: nil
        case .marked(let template, let entry):
            try JinjaRenderer(
                template, settings, variables: entry.templateVariables, systemPrompt: entry.systemPrompt,
                marking: marking)
        case .own(let template): try JinjaRenderer(template, settings, marking: marking)
        }
    }

    /// The entry that marks the spans.
    var entry: ChatTemplate? {
        switch text {
        case .entry(let entry), .marked(_, let entry): entry
        case .own: nil
        }
    }

    /// What tells two formats apart that write or mark a conversation differently.
    var digest: Digest {
        let parts: [Digest] =
            switch text {
            case .entry(let entry): [entry.digest]
            case .marked(let template, let entry): [template.digest, entry.digest]
            case .own(let template): [template.digest]
            }
        guard parts.count > 1 || entry == nil else { return parts[0] }
        let settings = "\(settings.now) \(settings.dateString ?? "") \(settings.variables.compact)"
        return Digest(of: parts.map(\.hex).joined(separator: " ") + " " + settings)
    }

    /// The text that ends a turn of the assistant's, as the format writes it; nil if that can't be told.
    func endOfTurnText() throws -> String? {
        if let entry, !entry.endOfTurnToken.isEmpty { return entry.endOfTurnText }
        let word = "Certainly"
        var text = RenderedText()
        try makeRenderer().render(
            Conversation(messages: [Message(.user, "Hi"), Message(.assistant, word)]), into: &text)
        guard let span = text.assistantSpans.last,
            let found = ByteSearch.first(Array(word.utf8), in: text.bytes, span)
        else { return nil }
        let end = String(decoding: text.bytes[found + word.utf8.count..<span.upperBound], as: UTF8.self)
        return String(end.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    /// How the spans are found, for people.
    var description: String {
        switch text {
        case .entry(let entry): "written and marked by the built-in '\(entry.name)'"
        case .marked(let template, let entry): "written by \(template.name), marked by the headers of '\(entry.name)'"
        case .own(let template):
            switch marking {
            case .generationTags: "written by \(template.name), marked by its generation tags"
            case .turns: "written by \(template.name), marked by what each turn adds to the text"
            default: "written by \(template.name), marked by rendering up to each turn"
            }
        }
    }
}

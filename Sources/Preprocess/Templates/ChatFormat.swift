import Jinja
import Shared

/// How conversations become text and where the assistant's turns are in it: what `--chat-template` means for a model.
struct ChatFormat: Sendable {
    enum Text: Sendable {
        /// A registry entry writes the text and knows its turns.
        case entry(HeaderTemplate)
        /// The model's own template writes the text; an entry's headers mark the turns in it.
        case marked(ChatTemplate, by: HeaderTemplate)
        /// The model's own template writes the text; the turns are found by how it does.
        case own(ChatTemplate)
    }

    /// The value of `--chat-template` for the model's own template.
    static let automatic = ChatTemplateOptions.automatic

    let text: Text
    let settings: RenderSettings
    /// The form in which the model's own template wants messages.
    let form: MessageForm
    private let marking: SpanMarking
    private var turnEnd: TurnEnd?

    /// - Parameter argument: `auto`, a `.jinja` file, a registry entry's name or a JSON file.
    /// - Throws: An error that says what is known, or what is wrong with a template.
    init(_ argument: String, _ model: ModelFiles, _ settings: RenderSettings) throws {
        let text: Text
        if argument == Self.automatic {
            guard let template = try ChatTemplate(model) else {
                throw TemplateError(
                    "\(model.path) has no chat template of its own; name one of "
                        + "\(TemplateRegistry.names.joined(separator: ", ")), or a file, with --chat-template")
            }
            text = .own(template)
        } else if argument.hasSuffix(".jinja") {
            text = .own(try ChatTemplate(file: argument, model))
        } else {
            let entry = try TemplateRegistry.resolve(argument)
            if let template = try ChatTemplate(model) {
                text = .marked(template, by: entry)
            } else {
                text = .entry(entry)
            }
        }
        try self.init(text, settings)
    }

    private init(_ text: Text, _ settings: RenderSettings) throws {
        self.text = text
        self.settings = settings
        switch text {
        case .entry:
            form = MessageForm()
            marking = .none
        case .marked(let template, let entry):
            form = try MessageForm(of: template, settings, variables: entry.templateVariables)
            marking = .headers(HeaderMarking(entry))
        case .own(let template):
            form = try MessageForm(of: template, settings)
            marking = try TurnProbe.marking(of: template, settings, form)
        }
    }

    /// The format with the markers of roles as the ends of turns, where the model ends its answers with them.
    ///
    /// - Parameter endTexts: The texts of the tokens at which the model stops.
    func endingTurns(at endTexts: [String]) throws -> ChatFormat {
        // What generation tags leave out, the template's author has left out.
        if case .generationTags = marking { return self }
        guard case .own = text, let renderer = try makeJinjaRenderer() else { return self }
        var format = self
        format.turnEnd = try TurnProbe.turnEnd(renderer, form, endTexts: endTexts)
        return format
    }

    /// The format with a variable of the template set.
    func with(variable name: String, _ value: Bool) throws -> ChatFormat {
        var format = try ChatFormat(text, settings.with(variable: name, value))
        format.turnEnd = turnEnd
        return format
    }

    /// The format with thoughts switched off by the template's own variables, but for those that are given.
    ///
    /// - Throws: `TemplateError` if the template has no such variable.
    func withoutThoughts() throws -> ChatFormat {
        var given: [String] = []
        if case .object(let members) = settings.variables { given = members.map(\.0) }
        let read = try makeJinjaRenderer()?.thoughtVariables ?? []
        let switches = AnswerReasoning.switches.filter(read.contains)
        guard !switches.isEmpty || read.contains(where: given.contains) else {
            let others =
                read.isEmpty ? "" : " (it reads \(read.joined(separator: ", ")): --chat-template-kwargs sets it)"
            throw TemplateError(
                "--reasoning off: the template reads neither of \(AnswerReasoning.switches.joined(separator: " and "))"
                    + "\(others), so that it has no switch for thoughts")
        }
        var format = self
        for name in switches where !given.contains(name) { format = try format.with(variable: name, false) }
        return format
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
                template, settings, variables: entry.templateVariables, systemPrompt: entry.systemPrompt, form: form,
                marking: marking)
        case .own(let template):
            try JinjaRenderer(template, settings, form: form, marking: marking, turnEnd: turnEnd)
        }
    }

    /// What is known of texts in answers by which the model's own template finds thoughts.
    var thoughtMarkers: ThoughtMarkers {
        switch text {
        case .entry: ThoughtMarkers(nil)
        case .marked(let template, _), .own(let template): ThoughtMarkers(template)
        }
    }

    /// Whether turns are compared with what the model writes: by its own template, where that can be told.
    ///
    /// One who names an entry has chosen its text.
    var comparesTurns: Bool {
        guard case .own = text else { return false }
        if case .prefixes = marking { return false }
        return true
    }

    /// The entry that marks the turns.
    var entry: HeaderTemplate? {
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
            Conversation(
                messages: [Message(.user, "Hi"), Message(.assistant, word)],
                tools: TurnProbe.conversation(form: form).tools), into: &text)
        guard let span = text.turns.last?.range,
            let found = ByteSearch.first(Array(word.utf8), in: text.bytes, span)
        else { return nil }
        let end = String(decoding: text.bytes[found + word.utf8.count..<span.upperBound], as: UTF8.self)
        return String(end.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    /// How the turns are found, for people.
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

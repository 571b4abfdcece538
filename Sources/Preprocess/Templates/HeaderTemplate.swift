import Shared

/// A registry entry: how a model writes a conversation, as headers before what each side says and a token after it.
///
/// ```
/// bos  systemHeader systemPrefix content endOfTurn  userHeader content endOfTurn  assistantHeader content endOfTurn
/// ```
///
/// Where a model has a template of its own, that writes the text, and the entry's headers mark the assistant's turns in
/// it; else the entry writes the text, if it has what that needs. The fields down to `ignoredTexts` are SpecForge's.
/// `Documentation/Templates.md` describes each with its key in a JSON file.
struct HeaderTemplate: Equatable, Sendable {
    /// What kind of text it is: SpecForge's parsers.
    enum ParserType: String, CaseIterable {
        case general, thinking, glm
        case harmony = "openai-harmony"
    }

    /// How a turn ends in the text, where not with an end-of-turn token of its own.
    enum AssistantPattern: String, CaseIterable { case general, longcat, glm, inkling }

    /// The assistant's and the user's header in the harmony format.
    static let harmonyHeaders = (assistant: "<|start|>assistant", user: "<|start|>user<|message|>")

    var name: String
    /// What stands before an assistant's content; the assistant's tokens begin after it.
    var assistantHeader: String
    var userHeader: String
    /// The system message of conversations that have none; nil leaves them without.
    var systemPrompt: String?
    /// What ends every turn: the last of the assistant's tokens.
    ///
    /// Empty where a turn ends as the template's text of it does.
    var endOfTurnToken: String
    var parserType = ParserType.general
    var assistantPattern = AssistantPattern.general
    /// Whether a thinking model's template is told to think.
    var enableThinking = false
    /// What isn't supervised within the assistant's turns.
    var ignoredTexts: [String] = []

    /// What stands before a system message; nil in an entry that can't write text itself.
    var systemHeader: String?
    /// What stands before a tool's output; nil where tools aren't part of the template.
    var toolHeader: String?
    /// What the first system message's content begins with.
    var systemPrefix = ""
    /// Whether the text begins with the tokenizer's bos token.
    var beginsWithBOS = false
    /// Whether the text ends with the tokenizer's eos token, unless it ends with the generation prompt.
    var endsWithEOS = false
    /// Whether space around a first system message's content is left out.
    var trimsSystem = false
    /// Whether space around every other message's content is left out.
    var trimsContent = false

    /// What tells two templates apart: every field but the name.
    var digest: Digest {
        var nameless = self
        nameless.name = ""
        return Digest(of: nameless.json.compact)
    }

    /// The token that ends an assistant's turn, without line ends after it.
    var endOfTurnText: String {
        String(endOfTurnToken.reversed().drop(while: \.isWhitespace).reversed())
    }

    /// Whether the entry can write text itself.
    var rendersText: Bool { systemHeader != nil && parserType == .general && ignoredTexts.isEmpty }

    /// What the model's own template is told.
    var templateVariables: [(String, Bool)] {
        switch parserType {
        case .thinking where enableThinking: [("enable_thinking", true)]
        case .glm: [("enable_thinking", false)]
        default: []
        }
    }

    /// What may stand after the assistant's header without being the assistant's.
    var skippedPrefix: String { assistantPattern == .glm ? "</think>" : "" }
}

/// Why a conversation can't be rendered, or a template not be used.
struct TemplateError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

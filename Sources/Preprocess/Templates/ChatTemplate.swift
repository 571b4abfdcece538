import Shared

/// How a model writes a conversation: headers before what each side says, and a token behind it.
///
/// ```
/// bos  systemHeader systemPrefix content endOfTurn  userHeader content endOfTurn  assistantHeader content endOfTurn
/// ```
///
/// The first five fields are SpecForge's; the others are what the text needs besides to be the model's own.
/// `Documentation/Templates.md` describes each with its key in a JSON file.
struct ChatTemplate: Equatable, Sendable {
    var name: String
    /// What stands before an assistant's content; the assistant's tokens begin behind it.
    var assistantHeader: String
    var userHeader: String
    /// The system message of conversations that have none; nil leaves them without.
    var systemPrompt: String?
    /// What ends every turn: the last of the assistant's tokens.
    var endOfTurnToken: String

    var systemHeader: String
    /// What stands before a tool's output; nil where tools aren't part of the template.
    var toolHeader: String?
    /// What the first system message's content begins with.
    var systemPrefix = ""
    /// Whether the text begins with the tokenizer's bos token.
    var beginsWithBOS = false
    /// Whether the text ends with the tokenizer's eos token, unless an assistant is to go on.
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

    /// The token that ends an assistant's turn, without line ends behind it.
    var endOfTurnText: String {
        String(endOfTurnToken.reversed().drop(while: \.isWhitespace).reversed())
    }
}

/// Why a conversation can't be rendered, or a template not be used.
struct TemplateError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

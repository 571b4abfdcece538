import Jinja
import Shared

extension MessageForm {
    /// The form that a template wants.
    ///
    /// Content is a string wherever the template writes one, and thoughts have one name, so that a template that knows two
    /// writes them once.
    /// - Throws: The template's error for the plainest conversation, if it accepts none in any form.
    init(of template: ChatTemplate, _ settings: RenderSettings, variables: [(String, Bool)] = []) throws {
        func writes(_ form: MessageForm, _ talk: Conversation, _ words: [String]) throws -> Bool {
            let renderer = try JinjaRenderer(template, settings, variables: variables, form: form, marking: .none)
            let text = try renderer.rendered(talk, addGenerationPrompt: false).bytes
            return words.allSatisfy { ByteSearch.contains(Array($0.utf8), text) }
        }
        self.init()
        let forms = [
            MessageForm(), MessageForm(contentIsParts: true), MessageForm(needsTools: true),
            MessageForm(contentIsParts: true, needsTools: true),
        ]
        let words = [TurnProbe.questions[0], TurnProbe.answers[0], TurnProbe.answers[1]]
        var refusal: (any Error)?
        var accepted: MessageForm?
        for form in forms {
            do {
                if try writes(form, TurnProbe.conversation(form: form), words) {
                    accepted = form
                    refusal = nil
                    break
                }
                accepted = accepted ?? form
            } catch {
                refusal = refusal ?? error
            }
        }
        guard let accepted else { throw refusal ?? TemplateError("\(template.name) takes no conversation") }
        self = accepted

        let names = Reasoning.keys.filter { template.reads($0) }
        reasoningKey = names.first ?? reasoningKey
        guard names.count > 1 else { return }
        // The first that is written, in an answer or with a call; templates may name one that they only remove.
        for traits in [DataTraits.reasoning, [.reasoning, .toolCalls]] {
            for name in names {
                var form = self
                form.reasoningKey = name
                let talk = TurnProbe.conversation(with: traits, form: form)
                if (try? writes(form, talk, [TurnProbe.thoughts[2]])) ?? false {
                    reasoningKey = name
                    return
                }
            }
        }
    }
}

extension ChatTemplate {
    /// Whether the template's source reads a message's member: as `.name`, or by the name in quotes.
    fileprivate func reads(_ name: String) -> Bool {
        let isName: (UInt8) -> Bool = { $0 == UInt8(ascii: "_") || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) }
        let pattern = Array(name.utf8)
        for text in [source, toolSource ?? []] {
            var position = 0
            while let found = ByteSearch.first(pattern, in: text, position..<text.count) {
                position = found + pattern.count
                let before = found > 0 ? text[found - 1] : 0
                let after = position < text.count ? text[position] : 0
                let isQuoted = (before == UInt8(ascii: "'") || before == UInt8(ascii: "\"")) && after == before
                if isQuoted || (before == UInt8(ascii: ".") && !isName(after)) { return true }
            }
        }
        return false
    }
}

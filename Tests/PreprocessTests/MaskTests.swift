import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Masks against SpecForge 0.2.0's, for tokens whose positions in the text are known: by each model's own template, marked
/// by the registry's entry.
struct MaskTests {
    /// Where SpecForge is wrong, and why: `Documentation/Masks.md`.
    private static let different: Set<String> = ["llama3 odd-special-in-text", "phi4 odd-special-in-text"]

    @Test func masksEqualSpecForges() throws {
        let file = try Gzip.json(Fixtures.folder.appending(path: "text/masks.json.gz"))
        let scratch = try ScratchDirectory()
        var (compared, entries) = (0, Set<String>())
        for model in file.root.elements {
            let name = try model.string("entry")
            _ = try scratch.write("chat_template.jinja", try model.string("jinja"))
            let settings = try RenderSettings(
                dateString: nil, variables: nil, bosToken: model["bos_token"]?.asString(),
                eosToken: model["eos_token"]?.asString())
            let format = try ChatFormat(name, ModelFiles(scratch.path), settings)
            let renderer = try format.makeRenderer()
            for row in try model.required("rows").elements {
                var conversation = try ConversationReader().conversation(row.value)
                let id = try row.string("id")
                guard (try? ConversationParser.repair(&conversation.messages, needsAnswer: false)) != nil,
                    !Self.different.contains("\(name) \(id)")
                else { continue }
                var text = RenderedText()
                try renderer.render(conversation, into: &text)
                let starts = try row.required("starts").elements.map { try $0.asInt() }
                let encoded = EncodedText()
                encoded.reserve(starts.count)
                for start in starts { encoded.append(0, start, start) }
                let mask = SampleBuilder.mask(
                    encoded, count: starts.count, text.supervisedSpans(onlyLastTurn: false)[...])
                #expect(mask == (try row.required("loss_mask").elements.map { try $0.asInt() == 1 }), "\(name) \(id)")
                compared += 1
            }
            entries.insert(name)
        }
        #expect(entries.count == 7 && compared >= 140, "\(compared)")
    }
}

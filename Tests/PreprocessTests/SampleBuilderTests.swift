import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct SampleBuilderTests {
    /// SpecForge's ids and masks of real and of odd conversations.
    @Test(arguments: ["smollm2-qwen-1024", "smollm2-qwen-256-last"])
    func samplesEqualSpecForges(name: String) throws {
        let file = try Gzip.json(Fixtures.goldens.appending(path: "text/samples-\(name).json.gz"))
        var settings = SampleBuilder.Settings(minLossTokens: 0)
        settings.maxLength = try file.root.int("max_length")
        settings.trainsOnlyLastTurn = try file.root.bool("train_only_last_turn")
        let builder = try builder("qwen", settings)
        var compared = 0
        for sample in try file.root.required("samples").elements {
            guard let ids = sample.value["input_ids"], let record = sample.value["conversation"] else { continue }
            var conversation = try ConversationReader().conversation(record)
            // As SpecForge does it: what comes before the user is left out, and what follows in the wrong order.
            guard (try? ConversationParser.repair(&conversation.messages)) != nil else { continue }
            let made = try #require(builder.samples(from: conversation).samples.first)
            let id = String(decoding: conversation.id, as: UTF8.self)
            #expect(made.inputIDs == ids.elements.compactMap { $0.int.map(Int32.init) }, "\(id)")
            #expect(made.lossMask == sample.value["loss_mask"]?.elements.map { $0.int == 1 }, "\(id)")
            compared += 1
        }
        #expect(compared >= 29)
    }

    @Test func tokensThatBeginWithinSpansAreSupervised() {
        let encoded = EncodedText()
        encoded.reserve(8)
        for (start, end) in [(0, 2), (2, 4), (4, 6), (6, 6), (6, 9), (9, 12), (12, 14)] {
            encoded.append(0, start, end)
        }
        let mask = SampleBuilder.mask(encoded, count: 7, [3..<5, 9..<12][...])
        #expect(mask == [false, false, true, false, false, true, false])
        #expect(SampleBuilder.mask(encoded, count: 2, [3..<5][...]) == [false, false])
        #expect(SampleBuilder.mask(encoded, count: 7, []) == [Bool](repeating: false, count: 7))
    }

    @Test func preformattedTextGivesTheSameSample() throws {
        let builder = try builder("qwen", .init())
        let conversation = Conversation(messages: [
            Message(role: .user, content: Array("Say <|im_end|>.".utf8)),
            Message(role: .assistant, content: Array("Here: <|im_end|>, done.".utf8)),
            Message(role: .user, content: Array("And?".utf8)), Message(role: .assistant, content: Array("Bye".utf8)),
        ])
        var text = RenderedText()
        try TemplateRenderer(TemplateRegistry.named("qwen"), bosToken: nil, eosToken: nil).render(
            conversation, into: &text)
        #expect(try builder.samples(fromPreformatted: text.bytes) == builder.samples(from: conversation))
    }

    @Test func aLastTurnThatIsCutOffIsSupervisedToTheEnd() throws {
        let text = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nI was"
        let sample = try #require(
            builder("qwen", .init()).samples(fromPreformatted: Array(text.utf8)).samples.first)
        #expect(sample.lossMask.suffix(3) == [false, true, true])
        #expect(!sample.lossMask.dropLast(2).contains(true))
    }

    private static let ids = Array(Int32(10)..<20)

    /// Ten tokens of which the last six, but for the eighth, are supervised.
    private func made(_ settings: SampleBuilder.Settings) throws -> MadeRow {
        let mask = Self.ids.map { $0 >= 14 && $0 != 17 }
        return try builder("qwen", settings).samples(fromTokens: Sample(inputIDs: Self.ids, lossMask: mask))
    }

    @Test func overflowIsCutDroppedOrSplit() throws {
        let whole = try made(.init(maxLength: 10))
        #expect(whole.samples.count == 1 && whole.truncated == 0 && whole.leftOut == 0)
        for overflow in Overflow.allCases {
            #expect(try made(.init(maxLength: 10, overflow: overflow)) == whole)
        }
        let cut = try made(.init(maxLength: 7))
        #expect(cut.samples.map(\.inputIDs) == [Array(Self.ids[..<7])] && cut.truncated == 1)
        #expect(throws: Rejection(.tooLong, "has 10 tokens, should have at most 7")) {
            try made(.init(maxLength: 7, overflow: .drop))
        }
        // The first piece has no supervised token.
        let split = try made(.init(maxLength: 4, overflow: .split))
        #expect(split.samples.map(\.inputIDs) == [Array(Self.ids[4..<8]), Array(Self.ids[8...])])
        #expect(split.samples.map(\.lossMask) == [[true, true, true, false], [true, true]])
        #expect(split.leftOut == 1 && split.truncated == 0)
        let all = try made(.init(maxLength: 4, overflow: .split, minLossTokens: 0))
        #expect(all.samples.flatMap(\.inputIDs) == Self.ids && all.leftOut == 0)
        #expect(throws: Rejection(.tooFewLossTokens, "3, should be 4 or more")) {
            try made(.init(maxLength: 4, overflow: .split, minLossTokens: 4))
        }
    }

    @Test func ignoredTokensAreNotSupervised() throws {
        let sample = try made(.init(ignoredTokens: [15, 19, 3])).samples[0]
        #expect(zip(Self.ids, sample.lossMask).filter(\.1).map(\.0) == [14, 16, 18])
        #expect(try made(.init(trainsOnlyLastTurn: true)).samples[0].supervisedCount == 2)
    }

    @Test func givenTokensMustBeOfTheVocabulary() throws {
        #expect(throws: Rejection(.badTokens, "token 19 is not below the vocabulary, 19")) {
            try made(.init(vocabSize: 19))
        }
        #expect(throws: Rejection(.badTokens, "'input_ids' is empty")) {
            try builder("qwen", .init()).samples(fromTokens: Sample(inputIDs: [], lossMask: []))
        }
    }

    @Test func rejectionsSayWhy() throws {
        let conversation = Conversation(messages: [
            Message(role: .user, content: Array(repeating: UInt8(ascii: "x"), count: 400)),
            Message(role: .assistant, content: Array("ok".utf8)),
        ])
        #expect(throws: Rejection(.tooFewLossTokens, "0 of the first 16 tokens, should be 1 or more")) {
            try self.builder("qwen", .init(maxLength: 16)).samples(from: conversation)
        }
        #expect(throws: Rejection(.tooFewLossTokens, "3, should be 9 or more")) {
            try self.builder("qwen", .init(minLossTokens: 9)).samples(from: conversation)
        }
        #expect(throws: Rejection(.noAssistant, "no turn of the assistant was found")) {
            try self.builder("qwen", .init()).samples(fromPreformatted: Array("no header".utf8))
        }
        #expect(throws: Rejection(.noAssistant, "no turn of the assistant was found")) {
            try self.builder("qwen", .init()).samples(from: Conversation(messages: [Message(.user, "x")]))
        }
    }

    /// By the model's own template, marked by the entry's headers, as SpecForge does it.
    private func builder(_ entry: String, _ settings: SampleBuilder.Settings) throws -> SampleBuilder {
        let tokenizer = try fixtureTokenizer("smollm2")
        let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)
        let rendering = try RenderSettings(
            dateString: nil, variables: nil, bosToken: tokenizer.bosToken, eosToken: tokenizer.eosToken)
        let format = try ChatFormat(entry, ModelFiles(model), rendering)
        return try SampleBuilder(tokenizer, format, TemplateFit(format), settings)
    }
}

import Foundation
import Shared
import TestSupport

@testable import Preprocess

/// A tokenizer of `fixtures/tokenizers`.
func fixtureTokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(ModelFiles(Fixtures.folder.appending(path: "tokenizers/\(name)").path(percentEncoded: false)))
}

extension TokenEncoder {
    /// The tokens of a text as arrays.
    func encode(_ text: [UInt8]) throws -> (ids: [Int], ranges: [Range<Int>]) {
        let encoded = EncodedText()
        try text.withUnsafeBufferPointer { try encode($0, into: encoded) }
        return (
            encoded.ids.map(Int.init), zip(encoded.starts, encoded.ends).map { Int($0)..<Int($1) }
        )
    }

    func ids(_ text: String) throws -> [Int] { try encode(Array(text.utf8)).ids }
}

/// Text of all scripts, with what patterns treat apart: line ends, spaces, digits, apostrophes, marks.
func randomText(_ scalars: Int, using generator: inout SplitMix64) -> [UInt8] {
    let special = Array(
        " \n\r\t'aBc09.,/\u{17F}\u{A0}\u{85}\u{3000}\u{2028}\u{180E}\u{200B}\u{301}\u{1C5}\u{BD}\u{10D40}\u{1E5D0}"
            .unicodeScalars)
    let contractions = [
        "'s", "'S", "'re", "'LL", "'\u{17F}", "'ve ", "'d", " word", "Capital", " ABCDEFGHIJdefghijklmn",
        "aVeryLongWordOf", "ABC",
    ]
    let ranges: [ClosedRange<UInt32>] = [
        0x20...0x7E, 0x20...0x7E, 0x20...0x7E, 0xA0...0x24F, 0x250...0x1200, 0x1200...0x3100, 0x4E00...0x9FFF,
        0xAC00...0xD7A3, 0x1D400...0x1D7FF, 0x1F300...0x1F6FF, 0x10000...0x10FFFF,
    ]
    var text: [UInt8] = []
    for _ in 0..<scalars {
        switch UInt32.random(in: 0..<10, using: &generator) {
        case 0..<4: text += Array(String(special.randomElement(using: &generator) ?? " ").utf8)
        case 4: text += Array((contractions.randomElement(using: &generator) ?? "'s").utf8)
        default:
            let range = ranges.randomElement(using: &generator) ?? 0x20...0x7E
            let scalar = Unicode.Scalar(UInt32.random(in: range, using: &generator)) ?? "?"
            text += Array(String(scalar).utf8)
        }
    }
    return text
}

/// SmolLM2's files with another chat template, and the format and target that `--chat-template` makes of them.
struct TemplateModel {
    let path: String
    let format: ChatFormat
    let target: TargetText
    private let scratch: ScratchDirectory

    /// - Parameters:
    ///   - ends: `eos_token_id` of its generation_config.json.
    ///   - renaming: Texts of special tokens, from the fourth on, that the tokenizer has instead of its own.
    ///   - options: More options of a format, as `--chat-template-kwargs`.
    init(_ jinja: String, ends: [Int]? = nil, renaming: [String] = [], _ options: [String] = []) throws {
        scratch = try ScratchDirectory()
        path = scratch.file("model")
        let fixture = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)
        try FileManager.default.copyItem(atPath: fixture, toPath: path)
        _ = try scratch.write("model/chat_template.jinja", jinja)
        if let ends { _ = try scratch.write("model/generation_config.json", "{\"eos_token_id\": \(ends)}") }
        let own = [
            "<repo_name>", "<reponame>", "<file_sep>", "<filename>", "<gh_stars>", "<issue_start>", "<issue_comment>",
            "<issue_closed>", "<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>",
            "<jupyter_script>", "<empty_output>",
        ]
        for file in renaming.isEmpty ? [] : ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
            var text = try String(contentsOfFile: "\(path)/\(file)", encoding: .utf8)
            for (old, new) in zip(own, renaming) {
                text = text.replacingOccurrences(of: "\"\(old)\"", with: "\"\(new)\"")
            }
            _ = try scratch.write("model/\(file)", text)
        }
        (format, target) = try ChatFormatOptions.parse(["--target-model-path", path] + options).load()
    }

    func builder(_ settings: SampleBuilder.Settings = .init()) throws -> SampleBuilder {
        try SampleBuilder(target.tokenizer, format, TemplateFit(format), settings)
    }

    /// The samples of a record as JSON.
    func samples(_ record: String, _ settings: SampleBuilder.Settings = .init()) throws -> [Sample] {
        guard case .conversation(let conversation) = try parseRow(record).content else {
            throw Rejection(.notAConversation, record)
        }
        return try builder(settings).samples(from: conversation).samples
    }

    func text(_ ids: some Sequence<Int32>) throws -> String {
        String(decoding: try target.tokenizer.decode(ids.map(Int.init)), as: UTF8.self)
    }

    /// The supervised tokens of each sample of a record, decoded.
    func supervised(_ record: String, _ settings: SampleBuilder.Settings = .init()) throws -> [String] {
        try samples(record, settings).map { sample in
            try text(zip(sample.inputIDs, sample.lossMask).filter(\.1).map(\.0))
        }
    }

    func proof(_ mode: TemplateFit.Mode = .whole) -> TemplateProof {
        TemplateProof(format, TemplateFit(format), target, mode)
    }

    static let chatML =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
}

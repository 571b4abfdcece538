import Shared

/// The forms in which records have pictures, films and sounds, none of which a text model has seen.
///
/// An answer about a picture is no answer to the question without it, so that such records are refused.
enum MediaForms {
    /// Columns of what is shown with the conversation.
    static let columns = ["image", "images", "video", "videos", "audio", "audios"]
    /// What stands for it in texts, as LLaVA, LLaMA-Factory and ms-swift write it.
    private static let tags = ["<image>", "<video>", "<audio>"].map { Array($0.utf8) }

    /// Refuses a conversation whose text has a tag where the record has a column of media, or where the
    /// tag has a line of its own at the beginning or the end of a question, or a picture's address as Qwen-VL has
    /// it.
    static func expectNone(_ root: JSONValue, _ messages: [Message]) throws(Rejection) {
        let column = columns.first { root.value($0).map(isFilled) ?? false }
        for (index, message) in messages.enumerated() {
            if message.role == .user, hasAddress(message.content) {
                throw Rejection(
                    .unsupportedContent,
                    "message \(index) has a picture's address in <img>; only text can be trained on")
            }
            for tag in tags {
                let name = String(decoding: tag, as: UTF8.self)
                if let column, ByteSearch.first(tag, in: message.content, 0..<message.content.count) != nil {
                    throw Rejection(
                        .unsupportedContent,
                        "'\(column)' belongs where message \(index) has \(name); only text can be trained on")
                }
                if message.role == .user, stands(tag, atEndOf: message.content) {
                    throw Rejection(
                        .unsupportedContent,
                        "message \(index) has \(name) where something else than text belongs; only text can be trained on"
                    )
                }
            }
        }
    }

    /// Whether a text has `<img>ADDRESS</img>`, the address without spaces or brackets in it.
    private static func hasAddress(_ text: [UInt8]) -> Bool {
        var position = 0
        while let start = ByteSearch.first(opening, in: text, position..<text.count) {
            position = start + opening.count
            let address = text[position...].prefix { !isJSONSpace($0) && $0 != UInt8(ascii: "<") }
            if !address.isEmpty, text[address.endIndex...].starts(with: closing) { return true }
        }
        return false
    }

    private static let (opening, closing) = (Array("<img>".utf8), Array("</img>".utf8))

    private static func stands(_ tag: [UInt8], atEndOf text: [UInt8]) -> Bool {
        let lineEnd = UInt8(ascii: "\n")
        return text.starts(with: tag + [lineEnd])
            || text.suffix(tag.count + 1) == [lineEnd] + tag
    }

    private static func isFilled(_ value: JSONValue) -> Bool {
        if let text = value.utf8 { return !text.isEmpty }
        return value.kind != .array || value.elements.contains { !$0.isNull }
    }

    /// What a part of a message's content is called that isn't text.
    static func name(ofPart part: JSONValue) -> String {
        if part.kind == .object, let type = part.value("type")?.utf8 {
            return "a part of type '\(String(decoding: type.prefix(40), as: UTF8.self))'"
        }
        if part.kind == .object, let key = part.members.first(where: { !$0.value.isNull })?.key {
            return "a part '\(String(decoding: key.prefix(40), as: UTF8.self))'"
        }
        return "a part that is \(part.kind.withArticle)"
    }
}

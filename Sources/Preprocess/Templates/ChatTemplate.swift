import Jinja
import Shared

/// A chat template in Jinja: the one that a model has, or a file.
struct ChatTemplate: Sendable {
    let name: String
    let source: [UInt8]
    /// The template for conversations with tools, where the model has one apart.
    let toolSource: [UInt8]?
    /// The special tokens that templates know by their names, as `bos_token`.
    let specialTokens: [(name: String, text: String)]

    /// The template of a model; nil if it has none.
    ///
    /// As in transformers: `chat_template.jinja` and `additional_chat_templates/NAME.jinja`, else `chat_template` of
    /// `tokenizer_config.json`, which is a string or a list of named ones. Of several, `default` is used, and `tool_use`
    /// for conversations with tools.
    /// - Throws: An error that names the file and the key.
    init?(_ model: ModelFiles) throws {
        let config = try model.json("tokenizer_config.json")?.root
        specialTokens = try Self.specialTokens(config)
        if let text = try model.contents("chat_template.jinja") {
            name = "chat_template.jinja"
            source = text
            toolSource = try model.contents("additional_chat_templates/tool_use.jinja")
        } else if let node = config?["chat_template"] {
            name = "tokenizer_config.json's chat_template"
            let named = try Self.named(node)
            guard let main = named["default"] else {
                let names = named.keys.sorted().joined(separator: ", ")
                throw node.error("names none of its templates 'default', but \(names); give one as a .jinja file")
            }
            source = main
            toolSource = named["tool_use"]
        } else {
            return nil
        }
    }

    /// A template in a file, with the special tokens of a model.
    init(file path: String, _ model: ModelFiles) throws {
        name = path.split(separator: "/").last.map(String.init) ?? path
        source = try readFile(path)
        toolSource = nil
        specialTokens = try Self.specialTokens(model.json("tokenizer_config.json")?.root)
    }

    private static func named(_ node: JSONNode) throws(JSONError) -> [String: [UInt8]] {
        guard node.value.kind == .array else { return ["default": Array(try node.asString().utf8)] }
        var named: [String: [UInt8]] = [:]
        for element in node.elements {
            named[try element.string("name")] = Array(try element.string("template").utf8)
        }
        return named
    }

    private static func specialTokens(_ config: JSONNode?) throws(JSONError) -> [(name: String, text: String)] {
        var tokens: [(name: String, text: String)] = []
        for name in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"].map({ "\($0)_token" }) {
            guard let node = config?[name] else { continue }
            let isObject = node.value.kind == .object
            tokens.append((name, isObject ? try node.string("content") : try node.asString()))
        }
        return tokens
    }

    var digest: Digest {
        let tokens = specialTokens.map { "\($0.name)=\($0.text)" }.joined(separator: "\n")
        return Digest(of: [source, toolSource ?? [], Array(tokens.utf8)].map { Digest(of: $0).hex }.joined())
    }
}

import Foundation
import Shared
import Testing

/// A tiny target, and stores of a few conversations, as the programs' users have them.
public struct TinyStores {
    public let scratch: ScratchDirectory
    /// The options that name the target.
    public let target: [String]
    /// Those that name the stores.
    public let data: [String]

    /// Twelve conversations in `train.jsonl` and three in `eval.jsonl`, with a draft vocabulary of 96 tokens.
    public init() throws {
        scratch = try ScratchDirectory()
        let model = scratch.file("model")
        try makeDirectory(model)
        for folder in ["targets/llama", "tokenizers/tiny"] {
            let source = Fixtures.folder.appending(path: folder).path
            for name in try listDirectory(source) where !name.hasPrefix("expected") {
                try writeFile("\(model)/\(name)", readFile("\(source)/\(name)"))
            }
        }
        let conversations = try String(
            contentsOf: Fixtures.folder.appending(path: "conversations/sharegpt_smollm2.jsonl"), encoding: .utf8)
        let lines = conversations.split(separator: "\n").filter { $0.utf8.count < 700 && $0.allSatisfy(\.isASCII) }
        target = ["--target-model-path", model]
        data = ["--cache-dir", scratch.file("cache"), "--chat-template", "chatml", "--max-length", "128"]
        for (name, lines) in [("train.jsonl", lines[..<12]), ("eval.jsonl", lines[12..<15])] {
            let path = try scratch.write(name, lines.joined(separator: "\n") + "\n")
            let end = try ProgramRun(
                "Preprocess", ["build", "--train-data-path", path, "--draft-vocab-size", "96"] + target + data
            ).finish()
            try #require(end.code == 0, "\(end.errors)")
        }
    }
}

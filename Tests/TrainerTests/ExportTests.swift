import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A draft in other forms is the draft that was trained, bit by bit or rounded.
struct ExportTests {
    private static let plainTarget = Fixtures.folder.appending(path: "targets/llama-rope-llama3").path
    private static let gguf = Fixtures.folder.appending(path: "gguf/llama.gguf").path

    /// Saves a draft of random weights, and gives its directory and weights by name.
    private static func withDraft(
        _ variant: DraftVariant = .plain, target path: String = plainTarget, draftVocabSize: Int = 64,
        _ body: (_ directory: String, _ weights: [String: Matrix], _ scratch: String) throws -> Void
    ) throws {
        let target = try ModelConfiguration(directory: path)
        let configuration = try variant.configuration(target: target, draftVocabSize: draftVocabSize)
        let draft = try configuration.makeDraft(positions: 8)
        draft.parameters.fillRandomly(seed: 9)
        let size = min(draftVocabSize, target.vocabSize)
        let counts = (0..<UInt64(target.vocabSize)).map { ($0 * 7919) % 251 }
        try withSavedDraft(
            configuration, draft.parameters, .derive(counts: counts, draftVocabSize: size, always: []), type: .float32
        ) { directory in
            let weights = Dictionary(uniqueKeysWithValues: draft.parameters.tensors.map { ($0.name, $0.values) })
            try withExtendedLifetime(draft.parameters) { try body("\(directory)/step_1", weights, directory) }
        }
    }

    /// Exports such a draft, and gives what was written and the draft's weights by name.
    private static func withGGUF(
        _ type: GGUFWriter.Format, configuredBy path: String = plainTarget, target: String,
        _ body: (_ file: GGUFFile, _ weights: [String: Matrix]) throws -> Void
    ) throws {
        try withDraft(target: path) { draft, weights, scratch in
            let path = "\(scratch)/draft.gguf"
            try GGUFDraft(DraftExport(draft, targetPath: target), type).write(to: path, name: "draft") { _ in }
            try body(GGUFFile(path), weights)
        }
    }

    /// The target with a tokenizer of a few tokens beside it.
    private static func withTarget(_ body: (_ target: String) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            for name in ["config.json", "model.safetensors"] {
                try FileManager.default.copyItem(atPath: "\(plainTarget)/\(name)", toPath: "\(directory)/\(name)")
            }
            try writeFile("\(directory)/tokenizer.json", tokenizer.pretty.utf8)
            try body(directory)
        }
    }

    /// Of 250 tokens in a vocabulary of 256: one is special, one isn't, and none has the last ids.
    private static let tokenizer = JSONText.object([
        (
            "added_tokens",
            .array([
                .object([("id", .int(2)), ("content", .string("<end>")), ("special", .bool(true))]),
                .object([("id", .int(3)), ("content", .string("<tool>")), ("special", .bool(false))]),
            ])
        ),
        (
            "model",
            .object([
                ("type", .string("BPE")),
                ("vocab", .object((0..<250).filter { ![2, 3].contains($0) }.map { ("t\($0)", .int($0)) })),
                ("merges", .array([.string("t 1"), .array([.string("t"), .string("2")])])),
            ])
        ),
    ])

    @Test func tokensOfADirectoryAreMadeOfItsTokenizer() throws {
        try Self.withTarget { target in
            try Self.withGGUF(.bfloat16, target: target) { file, _ in
                let tokens = try #require(file.metadata["tokenizer.ggml.tokens"]?.array).compactMap(\.string)
                #expect(tokens.count == 256 && tokens[1] == "t1" && tokens[2] == "<end>" && tokens[250] == "[PAD250]")
                let kinds = try #require(file.metadata["tokenizer.ggml.token_type"]?.array).compactMap(\.int)
                #expect(Array(kinds[0...4]) == [1, 1, 3, 4, 1] && kinds[250...].allSatisfy { $0 == 5 })
                #expect(file.metadata["tokenizer.ggml.merges"]?.array?.compactMap(\.string) == ["t 1", "t 2"])
                #expect(file.tokenID("bos") == 1 && file.tokenID("eos") == 2)
            }
        }
    }

    @Test func aTokenizerWithIDsBeyondTheVocabularyIsAnotherModels() throws {
        try Self.withTarget { target in
            let text = Self.tokenizer.compact.replacing("\"id\":2,", with: "\"id\":256,")
            try writeFile("\(target)/tokenizer.json", text.utf8)
            try Self.withDraft { draft, _, scratch in
                let error = #expect(throws: JSONError.self) {
                    try GGUFDraft(DraftExport(draft, targetPath: target), .bfloat16)
                        .write(to: "\(scratch)/draft.gguf", name: "draft") { _ in }
                }
                #expect(error.map { "\($0)".contains("256") && "\($0)".contains("another model's") } == true)
            }
        }
    }

    private static func rounded(_ value: Float, _ format: GGUFWriter.Format) -> Float {
        switch format {
        case .bfloat16: BFloat16.float(BFloat16.bits(value))
        case .float16: Float(Float16(value))
        default: value
        }
    }

    @Test(arguments: [GGUFWriter.Format.float32, .bfloat16, .float16], [96, 256])
    func aGGUFFileHasTheWeightsThatWereTrained(format: GGUFWriter.Format, draftVocabSize: Int) throws {
        try Self.withTarget { try Self.expectTrained($0, format, draftVocabSize) }
    }

    private static func expectTrained(
        _ target: String, _ format: GGUFWriter.Format, _ draftVocabSize: Int
    ) throws {
        try withDraft(target: target, draftVocabSize: draftVocabSize) { draft, weights, scratch in
            let path = "\(scratch)/eagle3-llama.gguf"
            let export = try DraftExport(draft, targetPath: target)
            var written = 0
            try GGUFDraft(export, format).write(to: path, name: "eagle3-llama") { written = $0 }
            #expect(written == export.elementCount)
            let file = try GGUFFile(path)
            // Of the target's layers 1, 2 and 2 of six, what the next ones are given.
            #expect(file.metadata["eagle3.target_layers"]?.array?.compactMap(\.int) == [2, 3, 3])
            for (key, value) in [
                ("block_count", 1), ("embedding_length", 32), ("feed_forward_length", 96), ("attention.head_count", 4),
                ("attention.head_count_kv", 2), ("attention.key_length", 8), ("target_hidden_size", 32),
                ("vocab_size", 256), ("rope.dimension_count", 8),
            ] { #expect(file.metadata["eagle3.\(key)"]?.int == value, "\(key)") }
            #expect(file.metadata["general.architecture"]?.string == "eagle3")
            #expect(file.metadata["eagle3.rope.freq_base"]?.double == 500_000)
            for (name, stored) in [
                ("fc.weight", "fc.weight"), ("norm.weight", "output_norm.weight"), ("lm_head.weight", "output.weight"),
                ("midlayer.hidden_norm.weight", "blk.0.attn_norm_2.weight"),
                ("midlayer.self_attn.v_proj.weight", "blk.0.attn_v.weight"),
                ("midlayer.mlp.down_proj.weight", "blk.0.ffn_down.weight"),
            ] {
                let (tensor, wanted) = (try #require(file.tensors[stored]), try #require(weights[name]))
                let isVector = tensor.shape.count == 1
                #expect(
                    try tensor.floats() == wanted.elements.map { isVector ? $0 : Self.rounded($0, format) }, "\(name)")
            }
            // Queries and keys: rotated pairs are neighbours, row 2i of a head from its first half and 2i + 1 from the other.
            for (name, stored, heads) in [("q_proj", "blk.0.attn_q.weight", 4), ("k_proj", "blk.0.attn_k.weight", 2)] {
                let values = try #require(file.tensors[stored]).floats()
                let wanted = try #require(weights["midlayer.self_attn.\(name).weight"])
                for head in 0..<heads {
                    for pair in 0..<4 {
                        for half in 0..<2 {
                            let row = head * 8 + 2 * pair + half
                            let source = wanted.row(head * 8 + half * 4 + pair)
                            #expect(
                                (0..<64).allSatisfy { values[row * 64 + $0] == Self.rounded(source[$0], format) },
                                "\(name) \(row)")
                        }
                    }
                }
            }
            let saved = try SavedDraft(draft, target: ModelConfiguration(directory: target))
            if draftVocabSize < 256 {
                // Absolute ids, of 64 bits.
                let ids = try #require(file.tensors["d2t"])
                #expect(try ids.type == .int64 && ids.integers() == saved.draftToTarget.map(Int.init))
            } else {
                #expect(file.tensors["d2t"] == nil)
            }
            // Llama 3.1's scaling is a tensor, which gives the frequencies back.
            let factors = try #require(file.tensors[GGUFFile.rotaryFactors]).floats()
            let rope = try #require(saved.configuration as? Eagle3Configuration).rope
            let plain = RotaryFrequencies.plain(theta: rope.theta, headDim: 8)
            let scaled = try RotaryScaling(rope, headDim: 8).fixedFrequencies
            for ((factor, plain), scaled) in zip(zip(factors, plain), scaled) {
                #expect(abs(plain / Double(factor) - scaled) < 1e-6 * scaled)
            }
        }
    }

    // Half a step, and what rounding the step to float16 adds to 127 of it.
    @Test func packedWeightsAreWithinHalfAStepOfThose() throws {
        // Heads and widths of 32, or rows are no whole blocks: fc and the projections of two widths are.
        try Self.withTarget { target in
            try Self.withGGUF(.q8_0, target: target) { file, weights in
                for (name, stored) in [
                    ("fc.weight", "fc.weight"), ("midlayer.mlp.up_proj.weight", "blk.0.ffn_up.weight"),
                ] {
                    let (values, wanted) = (
                        try #require(file.tensors[stored]).floats(), try #require(weights[name]).elements
                    )
                    #expect(file.tensors[stored]?.bytesPerNumber == 34.0 / 32)
                    for start in stride(from: 0, to: values.count, by: 32) {
                        let step = (wanted[start..<start + 32].map(abs).max() ?? 0) / 127
                        for i in start..<start + 32 { #expect(abs(values[i] - wanted[i]) <= 0.57 * step + 1e-6) }
                    }
                }
            }
        }
    }

    /// ggml's own rounding, for numbers that fall between two steps and blocks of zeros.
    @Test func packingRoundsAsGgmlDoes() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/block.gguf"
            var writer = try GGUFWriter(path, GGUFMetadata(), [.init(name: "x", format: .q8_0, shape: [2, 32])])
            var values = [Float](repeating: 0, count: 64)
            // Steps of 1/2, which float16 has: 0.25 and 1.25 are halves of a step.
            (values[0], values[1], values[2], values[3], values[4]) = (63.5, 0.25, -0.25, 1.25, -1.25)
            try values.withUnsafeBufferPointer { try writer.append($0) }
            try writer.finish()
            let read = try #require(GGUFFile(path).tensors["x"]).floats()
            #expect(Array(read[0..<5]) == [63.5, 0.5, -0.5, 1.5, -1.5] && read[5...].allSatisfy { $0 == 0 })
            // The scale of numbers as small as these is 0 in float16.
            for size in [Float.leastNonzeroMagnitude, Float.leastNormalMagnitude / 100, 3e-38, 1e-20] {
                var small = try GGUFWriter(path, GGUFMetadata(), [.init(name: "x", format: .q8_0, shape: [1, 32])])
                let values = (0..<32).map { $0.isMultiple(of: 2) ? size : -size }
                try values.withUnsafeBufferPointer { try small.append($0) }
                try small.finish()
                #expect(try #require(GGUFFile(path).tensors["x"]).floats().allSatisfy { $0 == 0 })
            }
        }
    }

    @Test func tokensAreThoseOfTheTargetsGGUFByteForByte() throws {
        try withTemporaryDirectory { directory in
            let target = try Self.targetWithTokens(directory)
            try Self.withGGUF(.bfloat16, configuredBy: target, target: target) { file, _ in
                let copied = file.entries(prefix: "tokenizer.")
                let own = try GGUFFile(target).entries(prefix: "tokenizer.")
                #expect(copied == own && copied.count == 4)
            }
        }
    }

    /// The fixture with tokens, whose numbers have types that only a copy keeps.
    private static func targetWithTokens(_ directory: String, count: Int = 96) throws -> String {
        let source = try GGUFFile(gguf)
        var metadata = GGUFMetadata()
        metadata.append(copied: source.entries(prefix: "general.").filter { $0.count < 200 })
        metadata.append(copied: source.entries(prefix: "llama."))
        metadata.append("tokenizer.ggml.model", "gpt2")
        metadata.append("tokenizer.ggml.tokens", (0..<count).map { "t\($0)" })
        metadata.append("tokenizer.ggml.token_type", [Int32](repeating: 1, count: count))
        metadata.append("tokenizer.ggml.bos_token_id", UInt32(1))
        let tensors = source.tensors.sorted { $0.key < $1.key }
        var writer = try GGUFWriter(
            "\(directory)/target.gguf", metadata,
            tensors.map { .init(name: $0.key, format: .float32, shape: $0.value.shape) })
        for (_, tensor) in tensors { try tensor.floats().withUnsafeBufferPointer { try writer.append($0) } }
        try writer.finish()
        return "\(directory)/target.gguf"
    }

    @Test func aTargetOfOtherTokensIsRefused() throws {
        try withTemporaryDirectory { directory in
            let target = try Self.targetWithTokens(directory, count: 90)
            try Self.withDraft(target: target) { draft, _, scratch in
                let export = try DraftExport(draft, targetPath: target)
                let error = #expect(throws: WeightsError.self) {
                    try GGUFDraft(export, .bfloat16).write(to: "\(scratch)/draft.gguf", name: "draft") { _ in }
                }
                #expect(error.map { "\($0)".contains("90 tokens") && "\($0)".contains("96") } == true)
                #expect(try listDirectory(scratch).allSatisfy { !$0.contains("gguf") })
            }
        }
    }

    @Test func aDraftOfAnotherTargetIsRefused() throws {
        try Self.withTarget { target in
            try Self.withDraft { draft, _, _ in
                #expect(throws: JSONError.self) { try DraftExport(draft, targetPath: Self.gguf) }
                // The same sizes, and other tokens.
                let (state, digests) = try CheckpointState.read(draft)
                var other = state
                other.settings["the training data's \(StoreSamples.vocabularyKey)"] = "0123"
                try writeFile("\(draft)/\(CheckpointState.fileName)", other.json(digests: digests).pretty.utf8)
                let error = #expect(throws: WrongTarget.self) { try DraftExport(draft, targetPath: target) }
                #expect(error.map { "\($0)".contains("0123") } == true)
            }
        }
    }

    @Test(arguments: [DraftVariant.fcNorm, .normOutput, .twoLayers])
    func whatLlamaCppDoesNotComputeIsRefused(variant: DraftVariant) throws {
        try Self.withDraft(variant) { draft, _, _ in
            let export = try DraftExport(draft, targetPath: Self.plainTarget)
            #expect(throws: DraftNotServed.self) { try GGUFDraft(export, .bfloat16) }
        }
    }

    private static func shape(_ draft: SavedDraft) -> Eagle3DraftModel.Shape? {
        (draft.configuration as? Eagle3Configuration)?.shape
    }

    @Test(arguments: [TensorType.float32, .bfloat16, .float16], [DraftVariant.plain, .everything])
    func aHuggingFaceDirectoryReadsBackAsTheDraft(type: TensorType, variant: DraftVariant) throws {
        try Self.withDraft(variant) { draft, weights, scratch in
            let path = "\(scratch)/exported"
            try CheckpointExport(DraftExport(draft, targetPath: Self.plainTarget), type).write(to: path) { _ in }
            let target = try ModelConfiguration(directory: Self.plainTarget)
            let (before, after) = (try SavedDraft(draft, target: target), try SavedDraft(path, target: target))
            #expect(before.draftToTarget == after.draftToTarget)
            #expect(Self.shape(before) != nil && Self.shape(before) == Self.shape(after))
            let loaded = try after.configuration.makeDraft(positions: 8)
            try after.load(into: loaded.parameters, targetPath: Self.plainTarget)
            let format: GGUFWriter.Format = type == .float32 ? .float32 : type == .float16 ? .float16 : .bfloat16
            for tensor in loaded.parameters.tensors {
                let wanted = try #require(weights[tensor.name]).elements.map { Self.rounded($0, format) }
                #expect(tensor.values.elements == wanted, "\(tensor.name)")
            }
            // What is there isn't written over.
            #expect(throws: FileError.self) {
                try CheckpointExport(DraftExport(draft, targetPath: Self.plainTarget), type).write(to: path) { _ in }
            }
        }
    }

    /// Whatever ends an export, nothing is left, and a file that was there before stays.
    @Test func anExportThatEndsEarlyLeavesNothing() throws {
        try withTemporaryDirectory { directory in
            let target = try Self.targetWithTokens(directory)
            try Self.withDraft(target: target) { draft, _, _ in
                let path = "\(directory)/draft.gguf"
                try writeFile(path, "before".utf8)
                let export = try DraftExport(draft, targetPath: target)
                // A directory can't be replaced by a file: the last step fails.
                try makeDirectory("\(directory)/taken")
                #expect(throws: FileError.self) {
                    try GGUFDraft(export, .bfloat16).write(to: "\(directory)/taken", name: "draft") { _ in }
                }
                #expect(throws: FileError.self) {
                    try GGUFDraft(export, .bfloat16).write(to: "\(directory)/none/draft.gguf", name: "draft") { _ in }
                }
                #expect(try readFile(path) == Array("before".utf8))
                #expect(try listDirectory(directory).allSatisfy { !$0.contains("partial") })
            }
        }
    }
}

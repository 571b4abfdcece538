import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// GGUF files against ggml's Python package and transformers.
struct GGUFGoldenTests {
    static let families = ["llama", "qwen2", "qwen3", "gemma3_text"]

    static func path(_ name: String) -> String { Fixtures.folder.appending(path: "gguf/\(name).gguf").path }

    private func expected(_ name: String) throws -> SafetensorsFile {
        try SafetensorsFile(Fixtures.folder.appending(path: "gguf/\(name).safetensors").path)
    }

    @Test(arguments: BlockQuantization.allCases)
    func blocksUnpackToGgmlsNumbers(_ quantization: BlockQuantization) throws {
        let tensor = try #require(try GGUFFile(Self.path("blocks")).tensors[quantization.rawValue])
        let expected = try expected("blocks").golden(quantization.rawValue)
        #expect(tensor.shape == expected.shape)
        #expect(try tensor.floats() == expected.values)
        // Some columns of a row, from the midst of a block to the midst of another.
        var part = [Float](repeating: 0, count: 300)
        part.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { tensor.widen(row: 1, columns: 75..<375, into: start) }
        }
        #expect(part == Array(expected.values[512 + 75..<512 + 375]))
    }

    @Test(arguments: families, [1, 2, 3])
    func hiddenStatesAndLogitsEqualTransformers(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(directory: Self.path(family), expected: expected(family))
        _ = try ThreadCommunicator.run(tpSize) { try golden.expectEqual(golden.load($0)) }
    }

    /// As it lies beside a tokenizer, say.
    @Test func aDirectoryWithOneGGUFFileIsATarget() throws {
        try withTemporaryDirectory { directory in
            try FileManager.default.copyItem(atPath: Self.path("qwen3"), toPath: "\(directory)/model.gguf")
            let golden = try TargetGolden(directory: directory, expected: expected("qwen3"))
            try golden.expectEqual(golden.load(AbsentRanks()))
            try FileManager.default.copyItem(atPath: Self.path("llama"), toPath: "\(directory)/other.gguf")
            #expect(throws: (any Error).self) { try golden.load(AbsentRanks()) }
        }
    }

    /// Every length of a head that breaks off, and every byte of it changed, ends in an error or in a model.
    @Test func damagedHeadsAreErrors() throws {
        let whole = try readFile(Self.path("qwen3"))
        try withTemporaryDirectory { directory in
            let path = "\(directory)/model.gguf"
            for count in [0, 3, 4, 12, 23, 24, 100, 500, 1000, whole.count - 1] {
                try writeFile(path, whole.prefix(count))
                #expect(throws: (any Error).self) { try GGUFModel(path) }
            }
            var random = RandomNumbers(seed: 4)
            for _ in 0..<200 {
                var bytes = whole
                bytes[random.below(3000)] ^= UInt8(1 + random.below(255))
                try writeFile(path, bytes)
                _ = try? GGUFModel(path)
            }
        }
    }

    @Test func whatIsNotSupportedIsNamed() throws {
        let error = #expect(throws: JSONError.self) { try GGUFModel(Self.path("blocks")) }
        #expect(
            "\(try #require(error))".hasSuffix(
                "blocks.gguf: key 'general.architecture' is 'blocks', supported are gemma3, llama, qwen2, qwen3"))
    }
}

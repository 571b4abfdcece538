import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// GGUF files against ggml's Python package and transformers.
struct GGUFGoldenTests {
    static let families = [
        "cohere2", "deepseek2", "deepseek2-kv_b", "ernie4_5", "exaone4", "gemma2", "gemma3_text", "gemma4", "gemma4-e",
        "gemma4-moe", "glm4", "glm4-moe-lite", "gpt-oss", "granite", "granitehybrid", "granitehybrid-dense",
        "hunyuan-dense", "lfm2", "lfm2moe", "llama", "llama4", "mistral3", "nemotron_h", "nemotron_h_moe", "olmo2",
        "phi3", "qwen2", "qwen3", "qwen35", "qwen35moe", "qwen3moe", "seed_oss", "smollm3",
    ]

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

    /// Others' random blocks, and what gguf-py makes of them; types that aren't among the read ones are refused by name.
    @Test func othersBlocksUnpackToTheirNumbers() throws {
        let file = try expected("quants")
        let names = file.tensors.keys.filter { $0.hasSuffix(".packed") }.map { String($0.dropLast(7)) }
        #expect(names.count == 23)
        for name in names {
            let numbers = try file.golden("\(name).values").values
            guard let quantization = BlockQuantization(rawValue: name) else {
                #expect(name.hasPrefix("IQ"), "\(name)")
                continue
            }
            let blocks = try file.tensor("\(name).packed").bytes
            var unpacked = [Float](repeating: 0, count: numbers.count)
            RowFormat.blocks(quantization).unpack(
                try #require(blocks.baseAddress), count: numbers.count, into: &unpacked)
            #expect(unpacked == numbers, "\(name)")
        }
    }

    @Test(arguments: families, [1, 2, 3])
    func hiddenStatesAndLogitsEqualTransformers(family: String, tpSize: Int) throws {
        let golden = try TargetGolden("gguf/\(family)")
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

    /// As llama.cpp splits large ones: the metadata in the first, tensors in all.
    @Test func aModelInSeveralFilesIsReadFromTheFirst() throws {
        try withTemporaryDirectory { directory in
            let whole = try GGUFFile(Self.path("qwen3"))
            let names = whole.tensors.keys.sorted()
            let paths = (1...3).map { "\(directory)/model-0000\($0)-of-00003.gguf" }
            for (part, path) in paths.enumerated() {
                let split: [(String, GGUFValue)] = [
                    ("split.no", .int(part)), ("split.count", .int(3)), ("split.tensors.count", .int(names.count)),
                ]
                let own = names.indices.filter { $0 % 3 == part }.map { names[$0] }
                try GGUFWriter.write(
                    path, split + (part == 0 ? whole.metadata.map { ($0.key, $0.value) } : []),
                    tensors: own.map { ($0, whole.tensors[$0]?.shape ?? []) }
                ) { try #require(whole.tensors[$0]).floats() }
            }
            let golden = try TargetGolden(directory: directory, expected: expected("qwen3"))
            try golden.expectEqual(golden.load(AbsentRanks()))
            #expect(try WeightDirectory(directory).files == paths)
            // What sees images doesn't matter.
            try writeFile("\(directory)/mmproj-F16.gguf", [])
            try golden.expectEqual(golden.load(AbsentRanks()))
            let second = #expect(throws: WeightsError.self) { try GGUFFile(paths[1]) }
            #expect("\(try #require(second))".contains("name the first"))
            // One that is another's copy, and one that is missing.
            try FileManager.default.removeItem(atPath: paths[2])
            #expect(throws: (any Error).self) { try GGUFFile(paths[0]) }
            try FileManager.default.copyItem(atPath: paths[1], toPath: paths[2])
            let twice = #expect(throws: WeightsError.self) { try GGUFFile(paths[0]) }
            #expect("\(try #require(twice))".contains("is in another of the files too"))
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
                "blocks.gguf: key 'general.architecture' is 'blocks', supported are cohere2, deepseek2, "
                    + "ernie4_5, exaone4, gemma2, gemma3, gemma4, glm4, gpt-oss, granite, granitehybrid, "
                    + "hunyuan-dense, lfm2, lfm2moe, llama, llama4, mistral3, nemotron_h, nemotron_h_moe, olmo2, phi3, qwen2, qwen3, "
                    + "qwen35, qwen35moe, qwen3moe, seed_oss, smollm3"))
    }
}

import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Whatever a family's configuration holds, it is described or refused by its file's name.
struct TargetDescriptionFuzzTests {
    private static let words = [
        "NaN", "1e400", "9223372036854775807", "-9223372036854775808", "2147483647", "0", "-1", "3", "1.5", "null",
        "true", "false", "[]", "{}", "\"auto\"", "\"MEM*-\"", "\"linear_attention\"", "\"full_attention\"",
        "{\"rope_type\": \"proportional\"}", "{\"0\": {\"head_dim\": 3}}", "[0, 1, 0]", "[\"mlp\", \"moe\"]",
    ]

    /// Each whole number of a configuration, by itself, as none of its family is.
    @Test(
        arguments: try listDirectory(Fixtures.folder.appending(path: "targets").path),
        ["-1", "0", "4611686018427387904"])
    func noNumberEndsTheProcess(family: String, value: String) throws {
        let path = Fixtures.folder.appending(path: "targets/\(family)/config.json").path(percentEncoded: false)
        let sound = String(decoding: try readFile(path), as: UTF8.self)
        let numbers = sound.matches(of: #/("\w+": )(\d+)(?=[,\s}])/#)
        #expect(!numbers.isEmpty)
        // A key that the file lacks, and some families have.
        let other = sound.replacing("{", with: "{\"num_local_experts\": \(value),", maxReplacements: 1)
        let changed = numbers.map { number in
            sound.replacingCharacters(in: number.range, with: "\(number.output.1)\(value)")
        }
        for text in changed + [other] {
            do throws(JSONError) {
                let configuration = try ModelConfiguration(JSONFile(contents: Array(text.utf8), path: "config.json"))
                guard let name = configuration.architectures.first else { continue }
                _ = try TargetModelRegistry.architectures[name]?(configuration)
            } catch {
                #expect(error.location.hasPrefix("config.json"), "\(error)")
            }
        }
    }

    @Test(arguments: try listDirectory(Fixtures.folder.appending(path: "targets").path))
    func aDescriptionMakesSenseOrIsRefused(family: String) throws {
        let path = Fixtures.folder.appending(path: "targets/\(family)/config.json").path(percentEncoded: false)
        let sound = try readFile(path)
        let mutator = Mutator(words: Self.words)
        var (described, refused) = (0, 0)
        try Fuzzing("describe-\(family)", iterations: 60).run { generator in
            let damaged = mutator.mutate(sound, using: &generator)
            do {
                let file = try JSONFile(contents: damaged, path: "config.json")
                let configuration = try ModelConfiguration(file)
                guard let name = configuration.architectures.first,
                    let describe = TargetModelRegistry.architectures[name]
                else { return }
                let description = try describe(configuration)
                #expect(description.layers.count == configuration.numHiddenLayers)
                for layer in description.layers {
                    #expect(description.numAttentionHeads.isMultiple(of: description.numKeyValueHeads(layer)))
                    #expect(description.headDim(layer) > 1)
                    if let rotation = layer.rotation { #expect(description.rotations.indices.contains(rotation)) }
                }
                described += 1
            } catch let error as JSONError {
                #expect(error.location.hasPrefix("config.json"), "\(error)")
                refused += 1
            }
        }
        #expect(described + refused > 0)
    }
}

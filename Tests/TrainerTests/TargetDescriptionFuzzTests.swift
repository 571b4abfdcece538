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

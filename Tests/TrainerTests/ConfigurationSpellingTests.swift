import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A target's files as transformers 5 saves them describe the same decoder as those of transformers 4.
struct ConfigurationSpellingTests {
    private static let folder = Fixtures.folder.appending(path: "targets").path

    /// The keys as transformers 5 writes them.
    private static func respelled(_ keys: [String: Any]) -> [String: Any] {
        var keys = keys
        if let text = keys["text_config"] as? [String: Any] { keys["text_config"] = respelled(text) }
        keys["dtype"] = keys.removeValue(forKey: "torch_dtype") ?? keys["dtype"]
        if let experts = keys.removeValue(forKey: "num_experts") { keys["num_local_experts"] = experts }
        guard keys["hidden_size"] != nil, keys["rope_parameters"] == nil else { return keys }
        var rope = keys.removeValue(forKey: "rope_scaling") as? [String: Any] ?? ["rope_type": "default"]
        if let theta = keys.removeValue(forKey: "rope_theta") { rope["rope_theta"] = theta }
        if let share = keys.removeValue(forKey: "partial_rotary_factor") { rope["partial_rotary_factor"] = share }
        keys["rope_parameters"] = rope
        if let local = keys.removeValue(forKey: "rope_local_base_freq") {
            keys["rope_parameters"] = [
                "full_attention": rope, "sliding_attention": ["rope_type": "default", "rope_theta": local],
            ]
        }
        return keys
    }

    private func description(_ contents: Data, _ name: String) throws -> String {
        let configuration = try ModelConfiguration(JSONFile(contents: Array(contents), path: "config.json"))
        let architecture = try #require(configuration.architectures.first)
        let describe = try #require(TargetModelRegistry.architectures[architecture], "\(name)")
        return "\(try describe(configuration))"
    }

    @Test(arguments: try listDirectory(folder))
    func bothSpellingsDescribeTheSameDecoder(family: String) throws {
        let contents = try Data(contentsOf: URL(filePath: "\(Self.folder)/\(family)/config.json"))
        let keys = try #require(JSONSerialization.jsonObject(with: contents) as? [String: Any])
        let respelled = try JSONSerialization.data(withJSONObject: Self.respelled(keys))
        let text = String(decoding: respelled, as: UTF8.self)
        #expect(!text.contains("rope_scaling") && !text.contains("num_experts\""))
        #expect(try description(respelled, family) == description(contents, family))
    }
}

import Testing

@testable import Shared

/// What is read of a `config.json`, in the spellings of transformers 4 and 5.
struct ModelConfigurationTests {
    private static let sizes =
        #""hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 6, "num_attention_heads": 4"#

    private func configuration(_ keys: String, _ root: String = "") throws -> ModelConfiguration {
        let text = root.isEmpty ? "{\(Self.sizes)\(keys)}" : "{\(root), \"text_config\": {\(Self.sizes)\(keys)}}"
        return try ModelConfiguration(JSONFile(contents: Array(text.utf8), path: "config.json"))
    }

    /// What counts is what transformers 5 makes of a file that has the old keys, the new ones, or both.
    @Test(arguments: [
        (#""rope_theta": 5e5"#, 500_000, "default", nil),
        (#""rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}"#, 500_000, "default", nil),
        (
            #""rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}"#, 500_000, "default",
            nil
        ),
        (#""rope_theta": 5e5, "rope_parameters": {"rope_type": "linear", "factor": 2}"#, 500_000, "linear", 2.0),
        (#""rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2}"#, 500_000, "linear", 2.0),
        (
            #""rope_theta": 1e4, "rope_scaling": {"rope_theta": 5e5, "rope_type": "linear", "factor": 2}"#, 500_000,
            "linear", 2.0
        ),
        (
            #""rope_scaling": null, "rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 2}"#,
            500_000, "linear", 2.0
        ),
        (
            #""rope_scaling": {}, "rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 2}"#, 500_000,
            "linear", 2.0
        ),
        (
            #""rope_scaling": {"rope_type": "linear", "factor": 4}, "rope_parameters": {"rope_theta": 5e5, "factor": 2}"#,
            10_000, "linear", 4.0
        ),
        (#""rope_theta": null, "rope_parameters": null"#, 10_000, "default", nil),
    ])
    func readsRotationsInEitherSpelling(keys: String, theta: Double, type: String, factor: Double?) throws {
        let rope = try configuration(#", "vocab_size": 9, "model_type": "llama", "# + keys).rope
        #expect(rope.theta == theta && rope.type == type && rope.optional("factor") == factor)
    }

    /// Gemma 3's two rotations.
    @Test(arguments: [
        (
            #""rope_theta": 2e6, "rope_local_base_freq": 3e4, "rope_scaling": {"rope_type": "linear", "factor": 8}"#,
            2e6, "linear", 3e4
        ),
        (
            #""rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 2e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 3e4}}"#,
            2e6, "linear", 3e4
        ),
        (
            #""rope_theta": 7, "rope_local_base_freq": 7, "rope_parameters": {"full_attention": {"rope_theta": 2e6}, "sliding_attention": {"rope_theta": 3e4}}"#,
            2e6, "default", 3e4
        ),
        (
            #""rope_theta": 2e6, "rope_local_base_freq": 3e4, "rope_parameters": {"full_attention": {}, "sliding_attention": {}}"#,
            2e6, "default", 3e4
        ),
        (
            #""rope_scaling": {"rope_type": "linear", "factor": 8}, "rope_parameters": {"full_attention": {"rope_theta": 2e6}}"#,
            2e6, "linear", 1e4
        ),
        (#""rope_scaling": null"#, 1e6, "default", 1e4),
    ])
    func readsARotationForEachKindOfLayer(keys: String, theta: Double, type: String, slidingTheta: Double) throws {
        for root in ["", #""model_type": "gemma3""#] {
            let family = root.isEmpty ? #", "model_type": "gemma3_text", "# : ", "
            let read = try configuration(family + keys, root)
            #expect(read.rope.theta == theta && read.rope.type == type)
            #expect(read.slidingRope.theta == slidingTheta && read.slidingRope.type == "default")
        }
    }

    @Test func onlyFamiliesThatTurnPartsOfHeadsDo() throws {
        let keys = #", "vocab_size": 9, "partial_rotary_factor": 0.5, "model_type": "#
        #expect(try configuration(keys + #""llama""#).rope.partialRotaryFactor == 1)
        #expect(try configuration(keys + #""phi3""#).rope.partialRotaryFactor == 0.5)
        let error = #expect(throws: JSONError.self) {
            try configuration(keys + #""llama", "rope_scaling": {"rope_type": "linear", "factor": 2}"#)
        }
        #expect("\(try #require(error))".contains("partial_rotary_factor 0.5 with rope type 'linear'"))
    }

    /// Published Gemma 3 directories leave it out.
    @Test func theVocabularySizeHasItsFamilysDefault() throws {
        #expect(try configuration("", #""model_type": "gemma3""#).vocabSize == 262_208)
        #expect(try configuration(#", "model_type": "gemma3_text""#).vocabSize == 262_208)
        let file = try JSONFile(contents: Array(#"{"model_type": "gemma3", "text_config": {}}"#.utf8), path: "c")
        #expect(try ModelConfiguration.vocabSize(file) == 262_208)
        #expect(throws: JSONError("key 'vocab_size' is missing", at: "config.json")) { try configuration("") }
    }

    @Test(arguments: ["0", "-1", "16777217", "1000000000000", "1e30", "1.5", "\"9\"", "[]"])
    func refusesVocabulariesThatNoModelHas(size: String) throws {
        let error = #expect(throws: JSONError.self) { try configuration(#", "vocab_size": \#(size)"#) }
        let text = "\(try #require(error))"
        #expect(text.hasPrefix("config.json: key 'vocab_size' is "), "\(text)")
        #expect(text.contains("should be 1 to 16777216") || text.contains("should be an integer"), "\(text)")
    }

    /// Sizes that would be allocated before a tensor's shape is looked at, and positions that no integer of a GGUF has.
    @Test(arguments: [
        (#""intermediate_size": 2147483647"#, "key 'intermediate_size' is 2147483647, should be at most 16777216"),
        (#""max_position_embeddings": -1"#, "key 'max_position_embeddings' is -1, should be 1 to 2147483647"),
        (#""max_position_embeddings": 5000000000"#, "key 'max_position_embeddings' is 5000000000, should be 1 to"),
        (
            #""num_attention_heads": 65536, "num_key_value_heads": 1, "head_dim": 1024"#,
            "keys 'num_attention_heads' and 'head_dim' make 67108864 features, should be at most 16777216"
        ),
    ])
    func refusesSizesThatNoModelHas(keys: String, message: String) throws {
        let error = #expect(throws: JSONError.self) { try configuration(#", "vocab_size": 9, \#(keys)"#) }
        let text = "\(try #require(error))"
        #expect(text.hasPrefix("config.json: \(message)"), "\(text)")
    }

    /// One rule for both programs: the whole model's, its text part's and generation's, each once; negative is none.
    @Test(arguments: [
        (#""eos_token_id": 2"#, #"{"eos_token_id": [2, 5]}"#, [2, 5]),
        (#""eos_token_id": -1"#, #"{"eos_token_id": -1}"#, []),
        (#""eos_token_id": null"#, "{}", []), (#""eos_token_id": [7, -1, 7, 3]"#, "{}", [7, 3]),
        (#""a": 1, "text_config": {"eos_token_id": 4}"#, #"{"eos_token_id": 5}"#, [4, 5]),
        (#""eos_token_id": [1, 106], "text_config": {"eos_token_id": 1}"#, "{}", [1, 106]),
    ])
    func tokensThatEndATextAreThoseOfAllFiles(config: String, generation: String, ids: [Int]) throws {
        let config = try JSONFile(contents: Array("{\(config)}".utf8), path: "config.json")
        let generation = try JSONFile(contents: Array(generation.utf8), path: "generation_config.json")
        #expect(try ModelConfiguration.endTokens(config, generation) == ids)
    }
}

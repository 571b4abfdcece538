import Shared

/// The targets that can be trained for, by the architecture that their `config.json` names.
///
/// To add a family: a file that describes it, and a line here.
enum TargetModelRegistry {
    static let architectures: [String: @Sendable (ModelConfiguration) throws(JSONError) -> DecoderDescription] = [
        "LlamaForCausalLM": Llama.describe
    ]

    /// Loads this rank's part of a target.
    ///
    /// - Parameters:
    ///   - directory: A Hugging Face directory: config.json and safetensors.
    ///   - positions: The longest sequence that will be asked for, in rows.
    ///   - precision: What linear maps and the embedding are held and multiplied in.
    /// - Throws: An error that names the key, or the tensor, that is missing or not supported.
    static func load(
        _ directory: String, communicator: any Communicator, positions: Int, precision: MatrixPrecision = .current
    ) throws -> DecoderTargetModel {
        let configuration = try ModelConfiguration(directory: directory)
        guard let name = configuration.architectures.first else {
            throw JSONError("key 'architectures' is missing", at: configuration.path)
        }
        guard let describe = architectures[name] else {
            let known = architectures.keys.sorted().joined(separator: ", ")
            throw JSONError(
                "key 'architectures' is '\(name)', which isn't supported; supported: \(known)", at: configuration.path)
        }
        return try DecoderTargetModel(
            describe(configuration), weights: WeightDirectory(directory), communicator: communicator,
            positions: positions, precision: precision)
    }
}

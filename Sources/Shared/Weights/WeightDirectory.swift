/// The weights of a Hugging Face directory, or those of a GGUF file.
///
/// Of a directory they are in `model.safetensors`, or in the files that `model.safetensors.index.json` names. Matrices that
/// `quantization_config` says are packed are one tensor each, by the name of the weight.
public struct WeightDirectory: Sendable {
    public let path: String
    /// The file that names all tensors: the weights themselves, or the index of their files.
    public let source: String
    /// Every file that tensors are read from, and the index.
    public let files: [String]
    private let tensors: [String: StoredTensor]

    public init(_ path: String) throws {
        self.path = path
        let (single, index) = ("\(path)/model.safetensors", "\(path)/model.safetensors.index.json")
        if fileExists(single) {
            (source, files) = (single, [single])
            tensors = try QuantizedWeights.joined(SafetensorsFile(single).tensors, directory: path)
        } else if fileExists(index) {
            source = index
            let shards = try Self.shards(index, directory: path)
            (files, tensors) = ([index] + shards.files, try QuantizedWeights.joined(shards.tensors, directory: path))
        } else if let file = try GGUFModel.file(at: path) {
            let model = try GGUFModel(file)
            (source, files, tensors) = (file, model.files, model.tensors)
        } else {
            throw WeightsError(path, "has neither model.safetensors nor model.safetensors.index.json")
        }
    }

    /// Whether a path has weights at all, whole or damaged.
    public static func isThere(_ path: String) throws -> Bool {
        try fileExists("\(path)/model.safetensors") || fileExists("\(path)/model.safetensors.index.json")
            || GGUFModel.file(at: path) != nil
    }

    public var names: [String] { tensors.keys.sorted() }

    /// The tensor of a name.
    /// - Throws: `WeightsError` that names the file and the tensor, if there is none.
    public func tensor(_ name: String) throws(WeightsError) -> StoredTensor {
        guard let tensor = tensors[name] else { throw WeightsError(source, tensor: name, "is missing") }
        return tensor
    }

    public func contains(_ name: String) -> Bool { tensors[name] != nil }

    private static func shards(
        _ index: String, directory: String
    ) throws -> (files: [String], tensors: [String: StoredTensor]) {
        let root = try JSONFile(index).root
        var files: [String: SafetensorsFile] = [:]
        var tensors: [String: StoredTensor] = [:]
        for (name, node) in try root.required("weight_map").members {
            let file = try node.asString()
            guard !file.contains("/") else { throw node.error("names a file outside the directory: \(file)") }
            let shard = try files[file] ?? SafetensorsFile("\(directory)/\(file)")
            files[file] = shard
            tensors[name] = try shard.tensor(name)
        }
        return (files.keys.map { "\(directory)/\($0)" }.sorted(), tensors)
    }
}

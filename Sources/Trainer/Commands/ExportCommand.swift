import Shared

/// `Trainer export`: a draft in the form that an engine loads.
enum ExportCommand {
    struct Options: Shared.Options {
        static let summary =
            "Writes a draft as llama.cpp's GGUF, or as a Hugging Face directory for SGLang, vLLM and OpenVINO."

        @Option("The draft: a checkpoint's directory, or a published draft's.", value: "DIR", isPositional: true)
        var draftModelPath: String
        @Option("What to write: one GGUF file, or a directory with config.json and model.safetensors.")
        var to: Form
        @Option("The target that will be served with it: a directory, or a GGUF file.", value: "DIR|GGUF")
        var targetModelPath: String
        @Option(
            "How matrices are stored: bf16, f16, f32 (or bfloat16, float16, float32), and for GGUF q8_0.",
            value: "TYPE")
        var outtype: OutType = .bf16
        @Option(
            "The file or directory to write; METHOD-TARGET.gguf (eagle3-TARGET.gguf is what llama.cpp looks for beside a "
                + "model), or METHOD-TARGET, in the working directory if left out.", value: "PATH")
        var output: String?

        func validate() throws(OptionsError) {
            if to == .hf, outtype == .q8_0 { throw .rule("--outtype q8_0 is for --to gguf alone") }
        }
    }

    enum Form: String, CaseIterable, OptionValue { case gguf, hf }

    /// Types by llama.cpp's names, or by torch's.
    enum OutType: String, CaseIterable, OptionValue {
        case bf16, f16, f32
        case q8_0

        init?(argument: String) {
            let names = ["bfloat16": OutType.bf16, "float16": .f16, "float32": .f32]
            guard let type = names[argument] ?? OutType(rawValue: argument) else { return nil }
            self = type
        }

        fileprivate var format: GGUFWriter.Format {
            switch self {
            case .bf16: .bfloat16
            case .f16: .float16
            case .f32: .float32
            case .q8_0: .q8_0
            }
        }

        fileprivate var type: TensorType {
            switch self {
            case .bf16: .bfloat16
            case .f16: .float16
            case .f32, .q8_0: .float32
            }
        }
    }

    static let command = Command("export", Options.self) { options in
        let export = try DraftExport(options.draftModelPath, targetPath: options.targetModelPath)
        let name = "\(export.saved.configuration.method)-\(stem(options.targetModelPath))"
        let output = options.output ?? (options.to == .gguf ? "\(name).gguf" : name)
        let progress = Progress("exporting", total: Double(export.elementCount), unit: "weights")
        switch options.to {
        case .gguf:
            try GGUFDraft(export, options.outtype.format).write(to: output, name: name) { progress.update(Double($0)) }
        case .hf:
            try CheckpointExport(export, options.outtype.type).write(to: output) { progress.update(Double($0)) }
        }
        progress.finish()
        Log.line("wrote \(output)")
        for engine in options.to == .gguf ? [InferenceEngine.llamaCpp] : [.vllm, .sglang, .openVINO] {
            let configuration = export.saved.configuration
            if let warning = engine.obstacle(export.target, configuration) ?? engine.condition(configuration) {
                Log.warning(warning)
            }
        }
    }

    /// A path's last name without `.gguf`.
    private static func stem(_ path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? "target"
        return name.hasSuffix(".gguf") ? String(name.dropLast(5)) : name
    }
}

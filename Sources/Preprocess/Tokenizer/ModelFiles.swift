import Shared

/// The files of a target that say how its texts are written: those of a Hugging Face directory, or what a GGUF file has
/// of them.
///
/// A directory with `tokenizer.json` is one of Hugging Face, whatever else lies there.
struct ModelFiles: Sendable {
    /// As the user gave it.
    let path: String
    private let directory: String
    private let gguf: GGUFTexts?

    /// - Throws: `FileError` or `WeightsError` where a GGUF file can't be read, or a directory has several.
    init(_ path: String) throws {
        self.path = path
        directory = path.hasSuffix("/") ? String(path.dropLast()) : path
        let isHuggingFace = fileExists("\(directory)/tokenizer.json")
        gguf = isHuggingFace ? nil : try GGUFModel.file(at: directory).map { try GGUFTexts(GGUFFile($0)) }
    }

    /// A file's contents; nil if the model has none of that name.
    func contents(_ name: String) throws -> [UInt8]? {
        if fileExists("\(directory)/\(name)") { return try readFile("\(directory)/\(name)") }
        return try gguf?.file(name).map { Array($0.compact.utf8) }
    }

    /// The contents of a file that must be there.
    /// - Throws: `FileError` that names it.
    func required(_ name: String) throws -> [UInt8] { try contents(name) ?? readFile("\(directory)/\(name)") }

    /// A file of JSON; nil if the model has none of that name.
    /// - Throws: `JSONError` or `FileError` that name the file and what is wrong with it.
    func json(_ name: String) throws -> JSONFile? {
        try contents(name).map { try JSONFile(contents: $0, path: self.name(of: name)) }
    }

    /// A file's name in errors.
    func name(of name: String) -> String {
        guard let gguf, !fileExists("\(directory)/\(name)") else { return "\(directory)/\(name)" }
        return "\(gguf.path) as \(name)"
    }
}

import Shared

/// The files of a target that say how its texts are written: those of a Hugging Face directory, or what a GGUF file has
/// of them.
struct ModelFiles: Sendable {
    let files: TargetFiles
    private let gguf: GGUFTexts?

    /// - Throws: `FileError` or `WeightsError` where a GGUF file can't be read, or a directory has several.
    init(_ path: String) throws {
        files = try TargetFiles(path)
        gguf = files.gguf.map(GGUFTexts.init)
    }

    /// As the user gave it.
    var path: String { files.path }

    /// A file's contents; nil if the model has none of that name.
    func contents(_ name: String) throws -> [UInt8]? {
        try files.contents(name) ?? gguf?.file(name).map { Array($0.compact.utf8) }
    }

    /// A file of JSON; nil if the model has none of that name.
    /// - Throws: `JSONError` or `FileError` that name the file and what is wrong with it.
    func json(_ name: String) throws -> JSONFile? {
        try contents(name).map { try JSONFile(contents: $0, path: self.name(of: name)) }
    }

    /// A file's name in errors.
    func name(of name: String) -> String {
        let path = files.path(of: name)
        guard let gguf, !fileExists(path) else { return path }
        return "\(gguf.path) as \(name)"
    }
}

/// A target's files by name: those of a Hugging Face directory, or the GGUF file that stands for one.
///
/// A directory with `tokenizer.json` is one of Hugging Face, whatever else lies there.
public struct TargetFiles: Sendable {
    /// As the user gave it.
    public let path: String
    /// The GGUF file that has the model's tokenizer; nil for a Hugging Face directory.
    public let gguf: GGUFFile?
    private let directory: String

    /// - Throws: `FileError` or `WeightsError` where a GGUF file can't be read, or a directory has several.
    public init(_ path: String) throws {
        self.path = path
        directory = path.hasSuffix("/") ? String(path.dropLast()) : path
        let isHuggingFace = fileExists("\(directory)/tokenizer.json")
        if !isHuggingFace, let snapshots = Self.snapshots(of: directory) {
            throw FileError(
                path, "use it as a model",
                reason: "it is a model's folder in the cache of huggingface_hub; name a snapshot in it: "
                    + snapshots.joined(separator: ", "))
        }
        if !isHuggingFace, !path.hasSuffix(".gguf") { try Self.expectDirectory(path) }
        gguf = isHuggingFace ? nil : try GGUFModel.file(at: directory).map { try GGUFFile($0) }
    }

    /// - Throws: `FileError` that says what a model should be, where a path is no directory.
    private static func expectDirectory(_ path: String) throws(FileError) {
        guard (try? listDirectory(path)) == nil else { return }
        guard !fileExists(path) else {
            throw FileError(
                path, "use it as a model",
                reason: "it is a file; should be the directory that the model's files are in, or a file *.gguf")
        }
        let names = path.split(separator: "/", omittingEmptySubsequences: false)
        let isOfHub = names.count == 2 && names.allSatisfy { !$0.isEmpty && !$0.hasPrefix(".") }
        throw FileError(
            path, "use it as a model",
            reason: "there is no such directory"
                + (isOfHub ? "; one of the Hugging Face Hub is fetched by: hf download \(path) --local-dir DIR" : ""))
    }

    /// What a directory without a tokenizer lacks, and what it has.
    public func lackOfTokenizer() throws(FileError) -> FileError {
        let names = try listDirectory(directory).filter { !$0.hasPrefix(".") }.sorted()
        let named = names.isEmpty ? "it is empty" : "in it are \(names.prefix(5).joined(separator: ", "))"
        return FileError(
            path, "use it as a model",
            reason: "it has no tokenizer.json, tokenizer.model, tekken.json or *.gguf; \(named)")
    }

    /// The snapshots in a folder of huggingface_hub's cache; nil for another folder.
    private static func snapshots(of directory: String) -> [String]? {
        let folder = "\(directory)/snapshots"
        guard fileExists(folder), !fileExists("\(directory)/config.json"), let names = try? listDirectory(folder),
            !names.isEmpty
        else { return nil }
        return names.map { "\(folder)/\($0)" }
    }

    /// Where a file is, or would be.
    public func path(of name: String) -> String { "\(directory)/\(name)" }

    /// More than any file of a model has that says how its texts are written, and few enough to count in 32 bits.
    public static let largestFile = 1 << 30

    /// The contents of a file; nil if the directory has none of that name.
    ///
    /// - Throws: `FileError` if it can't be read, is larger than `largestFile`, or is a link to a file that isn't there, as
    ///   an unfinished download leaves one.
    public func contents(_ name: String) throws(FileError) -> [UInt8]? {
        let path = path(of: name)
        guard fileExists(path) || isLink(path) else { return nil }
        let size = try FileStatus(of: path).size
        guard size <= Self.largestFile else {
            throw FileError(path, "read it", reason: "it has \(size) bytes, at most \(Self.largestFile) are supported")
        }
        return try readFile(path)
    }

    /// A file of JSON; nil if the directory has none of that name.
    public func json(_ name: String) throws -> JSONFile? {
        try contents(name).map { try JSONFile(contents: $0, path: path(of: name)) }
    }
}

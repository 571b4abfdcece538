import Shared

/// A saved draft, and what is needed to write it in another form, without reading its weights.
///
/// Weights are copied row by row from the mapped files, so a draft of any size costs a row's memory.
struct DraftExport {
    let saved: SavedDraft
    let target: ModelConfiguration
    let targetPath: String
    /// All weights by the names of a checkpoint, in its order.
    let tensors: [(name: String, shape: [Int])]
    private let sources: [String: SavedDraft.Source]

    /// - Throws: `JSONError`, `WeightsError` or `WrongTarget` if the draft can't be read or isn't one for this target.
    init(_ directory: String, targetPath: String) throws {
        self.targetPath = targetPath
        target = try ModelConfiguration(directory: targetPath)
        saved = try SavedDraft(directory, target: target)
        try WrongTarget.check(directory, targetPath)
        // Its memory is reserved and never touched.
        let draft = try saved.configuration.makeDraft([], DraftSettings(positions: 1), Compute())
        tensors = draft.parameters.tensors.map { ($0.name, $0.shape) }
        sources = try saved.sources(tensors, targetPath: targetPath)
    }

    /// Elements of all weights.
    var elementCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// Gives a weight's rows one after another.
    ///
    /// - Parameter order: The row of the weight that is to be the n-th; nil for all in their order.
    /// - Throws: `Interrupted` between two rows, or what `body` throws.
    func withRows(
        of name: String, order: [Int]? = nil, _ body: (UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        guard let source = sources[name], let shape = tensors.first(where: { $0.name == name })?.shape else {
            preconditionFailure("a weight that the draft hasn't: \(name)")
        }
        let (height, width) = (shape.dropLast().reduce(1, *), shape.last ?? 0)
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: width)
        defer { buffer.deallocate() }
        guard let start = buffer.baseAddress else { return }
        for row in 0..<height {
            try Interrupt.check()
            try source.copy(order?[row] ?? row, width: width, into: start)
            try body(UnsafeBufferPointer(buffer))
        }
    }
}

/// A draft that was trained on the tokens of another target.
struct WrongTarget: Error, CustomStringConvertible {
    let description: String

    /// Compares the tokens that the draft was trained on with the target's, where both are known.
    static func check(_ directory: String, _ targetPath: String) throws {
        let path = "\(directory)/\(CheckpointState.fileName)"
        guard fileExists(path) else { return }
        let key = "the training data's \(StoreSamples.vocabularyKey)"
        let settings = try CheckpointState.read(directory).state.settings
        let identity = try TokenizerIdentity(TargetFiles(targetPath))
        guard let trained = settings[key], let own = identity?.vocabulary, trained != own else { return }
        throw WrongTarget(
            description:
                "\(path): the draft was trained on tokens whose texts and ids have the digest \(trained), those "
                + "of \(targetPath) have \(own): give the target that it was trained for")
    }
}

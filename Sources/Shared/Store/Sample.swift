/// One conversation as the trainer reads it: tokens, and which of them the assistant wrote.
public struct Sample: Equatable, Sendable {
    public var inputIDs: [Int32]
    /// Whether each token is supervised; padding never is.
    public var lossMask: [Bool]
    /// Tokens at the beginning and at the end that nothing attends to.
    public var leadingPadding = 0
    public var trailingPadding = 0

    public init(inputIDs: [Int32], lossMask: [Bool], leadingPadding: Int = 0, trailingPadding: Int = 0) {
        self.inputIDs = inputIDs
        self.lossMask = lossMask
        self.leadingPadding = leadingPadding
        self.trailingPadding = trailingPadding
    }

    public var hasPadding: Bool { leadingPadding + trailingPadding > 0 }

    /// The tokens that are attended to.
    public var attended: Range<Int> { leadingPadding..<inputIDs.count - trailingPadding }

    /// The sample without its padding, which trains the draft exactly as the padded one does: no token attends to
    /// padding, none of it is supervised, and positions count from the first token that is attended to.
    public var withoutPadding: Sample {
        guard hasPadding else { return self }
        return Sample(inputIDs: Array(inputIDs[attended]), lossMask: Array(lossMask[attended]))
    }
}

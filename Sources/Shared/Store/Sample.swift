/// One conversation as the trainer reads it: tokens, and which of them the assistant wrote.
public struct Sample: Equatable, Sendable {
    public var inputIDs: [Int32]
    public var lossMask: [Bool]

    public init(inputIDs: [Int32], lossMask: [Bool]) {
        self.inputIDs = inputIDs
        self.lossMask = lossMask
    }
}

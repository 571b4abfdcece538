/// How answers are sampled: the same names, defaults and meaning wherever answers are made.
public struct SamplingOptions: Options {
    public static let lengths = 1...1 << 20

    @Option("The most tokens of an answer; a longer one is cut, and ends its conversation.", in: lengths)
    public var maxNewTokens = 1024
    @Option("Temperature of sampling; 0 always takes the most probable token.", in: 0...100)
    public var temperature: Float = 0.7
    @Option("Sample from the fewest tokens whose probabilities sum to this.", in: .above(0, through: 1))
    public var topP: Float = 1
    @Option("Sample from that many most probable tokens; 0 for all.", in: 0...1 << 24) public var topK = 0
    @Option("Sample from tokens of at least this share of the greatest probability.", in: 0...1)
    public var minP: Float = 0
    @Option(
        "Factor by which logits of tokens that are already there are lowered; 1 for none.", in: .above(0, through: 100))
    public var repetitionPenalty: Float = 1
    @Option("Seed of sampling; each record and turn has its own seed by it.", in: 0...Int.max) public var seed = 0

    public init() {}

    public func validate() throws(OptionsError) {
        if isGreedy, let option = changed.first(where: { Self.ofDrawing.contains($0.name) }) {
            throw .rule("\(option.name) has no effect at --temperature 0")
        }
    }

    /// What only drawing depends on.
    public static let ofDrawing = ["--top-p", "--top-k", "--min-p", "--seed"]

    public var isGreedy: Bool { temperature == 0 }

    /// The seed of an answer: the same on any number of ranks, and after any number of restarts.
    ///
    /// - Parameter turn: The number of the answer in its record, from 0.
    public func seed(of key: RecordKey, turn: Int) -> UInt64 { Digest(of: "\(seed) \(key) \(turn)").low }
}

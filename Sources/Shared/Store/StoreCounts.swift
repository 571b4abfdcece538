/// What was read and what became of it; `read` is always `kept` and all that were rejected.
public struct StoreCounts: Equatable, Sendable {
    /// Records of the dataset.
    public var read = 0
    /// Records that became samples.
    public var kept = 0
    /// Samples in the store: one for each record that was kept, or several.
    public var samples = 0
    /// Samples that were cut to the most tokens.
    public var truncated = 0
    /// Samples that were left out of records that were kept, because too few of their tokens are supervised.
    public var leftOut = 0
    /// Records that can't be used, by reason.
    public var rejected: [String: Int] = [:]
    /// Records that were used after a repair, by what was repaired.
    public var repaired: [String: Int] = [:]
    /// Messages that repairs left out.
    public var droppedMessages = 0
    public var tokens = 0
    public var supervisedTokens = 0

    /// No count of a store is larger: so they can be added up, whatever a damaged store says.
    static let largest = 1 << 48
    private static let range = 0...largest
    private static let mostReasons = 4096

    public init() {}

    public var rejectedTotal: Int { rejected.values.reduce(0, +) }
    public var isReconciled: Bool { read == kept + rejectedTotal }

    /// Of all tokens, the share that the draft learns from.
    public var supervisedShare: Double { tokens > 0 ? Double(supervisedTokens) / Double(tokens) : 0 }
}

extension StoreCounts {
    public var json: JSONText {
        .object([
            ("read", .int(read)), ("kept", .int(kept)), ("samples", .int(samples)), ("truncated", .int(truncated)),
            ("left_out", .int(leftOut)), ("rejected", Self.json(rejected)),
            ("repaired", Self.json(repaired)), ("dropped_messages", .int(droppedMessages)), ("tokens", .int(tokens)),
            ("supervised_tokens", .int(supervisedTokens)),
        ])
    }

    package init(_ node: JSONNode) throws(JSONError) {
        read = try node.int("read", in: Self.range)
        kept = try node.int("kept", in: Self.range)
        samples = try node.int("samples", in: Self.range)
        truncated = try node.int("truncated", in: Self.range)
        leftOut = try node.int("left_out", in: Self.range)
        for (reason, count) in try node.required("rejected").members {
            rejected[reason] = try count.asInt(in: Self.range)
        }
        for (reason, count) in try node.required("repaired").members {
            repaired[reason] = try count.asInt(in: Self.range)
        }
        droppedMessages = try node.int("dropped_messages", in: Self.range)
        guard rejected.count <= Self.mostReasons, repaired.count <= Self.mostReasons else {
            throw node.error("has more than \(Self.mostReasons) reasons")
        }
        tokens = try node.int("tokens", in: Self.range)
        supervisedTokens = try node.int("supervised_tokens", in: Self.range)
    }

    private static func json(_ counts: [String: Int]) -> JSONText {
        .object(counts.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) })
    }
}

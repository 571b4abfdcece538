import Shared

/// What became of one record of the dataset.
struct SourceRecord: Sendable {
    enum Outcome: Sendable {
        /// The samples that the record was made into; at least one.
        case kept([Sample])
        /// - reason: What is counted; detail: what exactly is wrong with this record.
        case rejected(reason: String, detail: String)
    }

    /// Something that was mended so that the record could be used.
    struct Repair: Equatable, Sendable {
        var reason: String
        var droppedMessages: Int

        /// What the store's note says besides the reason.
        var detail: String

        init(_ reason: String, droppedMessages: Int) {
            self.reason = reason
            self.droppedMessages = droppedMessages
            let messages = droppedMessages == 1 ? "message" : "messages"
            detail = droppedMessages == 0 ? "" : "\(droppedMessages) \(messages) left out"
        }

        /// A repair that a store tells of: how many messages it left out is counted there already.
        init(_ note: SourceNote) {
            (reason, detail, droppedMessages) = (note.reason, note.detail, 0)
        }
    }

    /// None if it was rejected.
    var samples: [Sample] {
        if case .kept(let samples) = outcome { samples } else { [] }
    }

    var source: SampleSource
    /// Where the record begins in its file, in bytes.
    var offset: Int
    var outcome: Outcome
    var repairs: [Repair]
    /// Samples of the record that were cut to the most tokens.
    var truncated: Int
    /// Samples of the record that were left out, because too few of their tokens are supervised.
    var leftOut: Int

    init(
        source: SampleSource, offset: Int, outcome: Outcome, repairs: [Repair] = [], truncated: Int = 0,
        leftOut: Int = 0
    ) {
        self.source = source
        self.offset = offset
        self.outcome = outcome
        self.repairs = repairs
        self.truncated = truncated
        self.leftOut = leftOut
    }
}

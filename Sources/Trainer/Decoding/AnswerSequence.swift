import Shared

/// A record to be answered, and how far its answers are.
///
/// A sample's `lossMask` marks the tokens after which there is to be an answer. What the target is given for each is what
/// precedes it, with the answers that it gave itself. An answer ends with an end token, or is cut by the limit of tokens or
/// by the longest sequence; after one that is cut, or that is empty, no others follow. Where something of a turn doesn't stay
/// in the history, as thoughts that are stripped, the target reads what follows the last token that does.
final class AnswerSequence {
    /// A record, by what identifies it to whoever wants it answered.
    struct Record {
        let ticket: Int
        let key: RecordKey
        let sample: Sample

        /// How many answers there are to be.
        var turns: Int { sample.lossMask.count { $0 } }

        /// Positions that it can come to.
        func positions(_ limits: Limits) -> Int {
            let inserted = max(0, limits.history.inserted.count - limits.history.removed.count)
            return min(limits.longest, sample.inputIDs.count + turns * (limits.sampling.maxNewTokens + inserted))
        }
    }

    /// What ends answers.
    struct Limits {
        let sampling: SamplingOptions
        let endTokens: Set<Int32>
        /// Positions of the longest sequence.
        let longest: Int
        var history = AnswerHistory.whole
    }

    let record: Record
    let slot: Int
    private let limits: Limits
    private let canGoBack: Bool
    /// Positions that the target has seen.
    private(set) var position = 0
    /// Tokens that it is to see next.
    private(set) var pending: ArraySlice<Int32>
    /// The tokens up to the answer, and where its prompt begins in them: after the answer before it.
    private var context: [Int32]
    private var promptStart = 0
    /// Where in the sample the pending tokens' successor is.
    private var next: Int
    private var seed: UInt64
    private var answer: [Int32] = []
    private(set) var answers: [FinishedAnswer] = []
    /// Tokens that are there already, if sampling wants to know.
    private(set) var seen: [Int32] = []
    private var isSeen: Set<Int32> = []
    private(set) var hasFailed = false

    /// One answer, with the end token if it has one.
    struct FinishedAnswer: Equatable {
        let tokens: [Int32]
        let isFinished: Bool
    }

    /// - Parameter canGoBack: Whether the target can forget its last positions and keep those before them.
    init(_ record: Record, slot: Int, _ limits: Limits, canGoBack: Bool) {
        (self.record, self.slot, self.limits, self.canGoBack) = (record, slot, limits, canGoBack)
        next = 1 + (record.sample.lossMask.firstIndex(of: true) ?? record.sample.lossMask.count - 1)
        context = Array(record.sample.inputIDs[..<next])
        pending = context[...]
        seed = limits.sampling.seed(of: record.key, turn: 0)
        note(pending)
    }

    /// Takes the tokens that the target sees now.
    ///
    /// - Returns: Whether a token is to follow the last of them.
    func take(_ count: Int) -> Bool {
        pending = pending.dropFirst(count)
        position += count
        return pending.isEmpty
    }

    /// The number that the next token is drawn by.
    var uniform: Double { SamplingOptions.uniform(seed: seed, index: answer.count) }

    /// Ends the record without answers, as the target's logits are no numbers.
    func fail() -> Bool {
        hasFailed = true
        return true
    }

    /// Adds a token to the answer.
    ///
    /// - Returns: Whether it was the record's last.
    func add(_ token: Int32) -> Bool {
        answer.append(token)
        let isFinished = limits.endTokens.contains(token)
        guard isFinished || answer.count >= limits.sampling.maxNewTokens || position >= limits.longest else {
            pending = [token]
            note(pending)
            return false
        }
        let finished = FinishedAnswer(tokens: answer, isFinished: isFinished)
        answers.append(finished)
        return !begin(after: finished)
    }

    /// Begins the next answer, if there is to be one.
    private func begin(after last: FinishedAnswer) -> Bool {
        let (ids, mask) = (record.sample.inputIDs, record.sample.lossMask)
        guard Answer(ids: last.tokens, isFinished: last.isFinished, limits.history).mayBeContinued,
            let mark = mask[next...].firstIndex(of: true)
        else { return false }
        let seen = context + last.tokens.dropLast()
        let history: [Int32] =
            context[..<promptStart] + limits.history.prompt(context[promptStart...])
            + limits.history.answer(last.tokens, isFinished: last.isFinished)
        guard history.count + mark + 1 - next < limits.longest else { return false }
        let common = zip(seen, history).prefix { $0 == $1 }.count
        context = history + ids[next...mark]
        promptStart = history.count
        position = common == seen.count || canGoBack ? common : 0
        pending = context[position...]
        if common < seen.count { (self.seen, isSeen) = ([], []) }
        note(common < seen.count ? context[...] : pending)
        next = mark + 1
        answer = []
        seed = limits.sampling.seed(of: record.key, turn: answers.count)
        return true
    }

    private func note(_ tokens: ArraySlice<Int32>) {
        guard limits.sampling.repetitionPenalty != 1 else { return }
        for token in tokens where isSeen.insert(token).inserted { seen.append(token) }
    }
}

extension Sample {
    /// What a sample of prompts becomes by answers: tokens, and which of them are an answer's.
    ///
    /// - Parameter history: What of each turn stays; the last one is as the target read and wrote it, unless it says otherwise.
    func answered(by answers: [AnswerSequence.FinishedAnswer], _ history: AnswerHistory) -> Sample {
        var (ids, mask) = ([Int32](), [Bool]())
        var next = 0
        for (number, answer) in answers.enumerated() {
            guard let mark = lossMask[next...].firstIndex(of: true) else { break }
            let isRead = number == answers.count - 1 && !history.includesLast
            let prompt = isRead ? Array(inputIDs[next...mark]) : history.prompt(inputIDs[next...mark])
            let kept = history.answer(answer.tokens, isFinished: answer.isFinished)
            ids += prompt + kept
            mask += [Bool](repeating: false, count: prompt.count) + [Bool](repeating: true, count: kept.count)
            next = mark + 1
        }
        return Sample(inputIDs: ids, lossMask: mask)
    }
}

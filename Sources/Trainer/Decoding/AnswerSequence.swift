import Shared

/// A record to be answered, and how far its answers are.
///
/// A sample's `lossMask` marks the tokens after which there is to be an answer. What the target is given for each is what
/// precedes it, with the answers that it gave itself. An answer ends with an end token, or is cut by the limit of tokens or
/// by the longest sequence; after one that is cut, or that is empty, no others follow.
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
            min(limits.longest, sample.inputIDs.count + turns * limits.sampling.maxNewTokens)
        }
    }

    /// What ends answers.
    struct Limits {
        let sampling: SamplingOptions
        let endTokens: Set<Int32>
        /// Positions of the longest sequence.
        let longest: Int
    }

    let record: Record
    let slot: Int
    private let limits: Limits
    /// Positions that the target has seen.
    private(set) var position = 0
    /// Tokens that it is to see next.
    private(set) var pending: ArraySlice<Int32>
    /// Where in the sample the pending tokens' successor is.
    private var next: Int
    private var seed: UInt64
    private var answer: [Int32] = []
    private(set) var answers: [FinishedAnswer] = []
    /// Tokens that are there already, if sampling wants to know.
    private(set) var seen: [Int32] = []
    private var isSeen: Set<Int32> = []

    /// One answer, with the end token if it has one.
    struct FinishedAnswer: Equatable {
        let tokens: [Int32]
        let isFinished: Bool
    }

    init(_ record: Record, slot: Int, _ limits: Limits) {
        (self.record, self.slot, self.limits) = (record, slot, limits)
        next = 1 + (record.sample.lossMask.firstIndex(of: true) ?? record.sample.lossMask.count - 1)
        pending = record.sample.inputIDs[..<next]
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
        guard Answer(ids: last.tokens, isFinished: last.isFinished).mayBeContinued,
            let mark = mask[next...].firstIndex(of: true),
            position + 1 + mark + 1 - next < limits.longest
        else { return false }
        pending = last.tokens.suffix(1) + ids[next...mark]
        note(pending)
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
    func answered(by answers: [AnswerSequence.FinishedAnswer]) -> Sample {
        var (ids, mask) = ([Int32](), [Bool]())
        var next = 0
        for answer in answers {
            guard let mark = lossMask[next...].firstIndex(of: true) else { break }
            ids += inputIDs[next...mark] + answer.tokens
            mask += [Bool](repeating: false, count: mark + 1 - next)
            mask += [Bool](repeating: true, count: answer.tokens.count)
            next = mark + 1
        }
        return Sample(inputIDs: ids, lossMask: mask)
    }
}

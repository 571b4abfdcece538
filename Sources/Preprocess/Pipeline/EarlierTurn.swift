import Shared

/// How a template writes a turn of the assistant's once others follow, without thoughts: where its text begins to differ
/// from the prompt that the turn was an answer to, and what stands there instead.
///
/// Templates of targets that think open a block of thoughts in the prompt, or an empty one where they are told not to
/// think, and leave it out of earlier turns, or write an empty one there that the prompt doesn't have.
struct EarlierTurn {
    let history: AnswerHistory
    /// The texts of `history.removed` and `history.inserted`.
    private let removed: [UInt8]
    private let inserted: [UInt8]

    /// The turn as the target read and wrote it.
    static let whole = EarlierTurn(history: .whole, removed: [], inserted: [])

    private init(history: AnswerHistory, removed: [UInt8], inserted: [UInt8]) {
        (self.history, self.removed, self.inserted) = (history, removed, inserted)
    }

    /// - Parameters:
    ///   - prompts: Of two questions; in the second, `answer` follows the first.
    ///   - ends: The texts that end answers.
    /// - Throws: `TemplateError` that says why the template's earlier turns, or thoughts in answers, can't be told.
    init(
        _ target: TargetText, _ encoder: TokenEncoder, _ prompts: [[UInt8]], question: String, answer: String,
        _ ends: [[UInt8]], _ reasoning: AnswerReasoning
    ) throws {
        func encoded(_ text: [UInt8]) throws -> (ids: [Int32], starts: [Int]) {
            let encoded = EncodedText()
            try text.withUnsafeBufferPointer { bytes in try encoder.encode(bytes, into: encoded) }
            return (Array(encoded.ids), encoded.starts.map { Int($0) })
        }
        let (prompt, later) = (try encoded(prompts[0]), try encoded(prompts[1]))
        guard let found = ByteSearch.last(Array(answer.utf8), in: prompts[1], 0..<prompts[1].count),
            let first = later.starts.firstIndex(where: { $0 == found })
        else {
            throw TemplateError(
                "--reasoning \(reasoning.rawValue): the template doesn't write an earlier answer so that a token begins "
                    + "where it does")
        }
        let common = zip(prompt.ids, later.ids[..<first]).prefix { $0 == $1 }.count
        func position(_ starts: [Int], _ index: Int, _ text: [UInt8]) -> Int {
            index < starts.count ? starts[index] : text.count
        }
        let asked = ByteSearch.last(Array(question.utf8), in: prompts[0], 0..<prompts[0].count) ?? 0
        let thoughts = try Self.thoughts(
            target, after: zip(prompt.ids, prompt.starts).filter { $0.1 > asked }.map(\.0))
        if thoughts == nil, reasoning == .strip {
            let names = ThoughtMarkers.tokens.map(\.end).joined(separator: ", ")
            throw TemplateError(
                "--reasoning strip: the tokenizer has none of the tokens that end thoughts (\(names)), so that thoughts "
                    + "can't be told from an answer in tokens; use save, off, or Preprocess regenerate with a server")
        }
        removed = Array(prompts[0][position(prompt.starts, common, prompts[0])...])
        inserted = Array(prompts[1][position(later.starts, common, prompts[1])..<found])
        history = AnswerHistory(
            removed: Array(prompt.ids[common...]), inserted: Array(later.ids[common..<first]),
            thoughts: thoughts, includesLast: reasoning == .strip)
        guard end(of: answer, after: prompts[0], in: prompts[1], ends) != nil else {
            throw TemplateError(
                "--reasoning \(reasoning.rawValue): the template writes no end token after an earlier answer; use "
                    + "Preprocess regenerate with a server")
        }
    }

    /// Where the end token of an answer to a prompt ends in a longer one; nil if it doesn't stand there so.
    func end(of answer: String, after prompt: [UInt8], in text: [UInt8], _ ends: [[UInt8]]) -> Int? {
        guard prompt.suffix(removed.count).elementsEqual(removed) else { return nil }
        let answered = prompt.dropLast(removed.count) + inserted + answer.utf8
        guard text.starts(with: answered) else { return nil }
        return ends.first { text[answered.count...].starts(with: $0) }.map { answered.count + $0.count }
    }

    /// What thoughts are in tokens; nil if the tokenizer has no tokens for them.
    ///
    /// - Parameter prompt: The tokens after the question.
    private static func thoughts(_ target: TargetText, after prompt: [Int32]) throws -> AnswerHistory.Thoughts? {
        let tokenizer = target.tokenizer
        for pair in ThoughtMarkers.tokens {
            guard let start = tokenizer.id(of: pair.start), let end = tokenizer.id(of: pair.end) else { continue }
            let before = try tokenizer.decode([Int(end)]).count
            let space = try (0..<target.vocabSize).filter(tokenizer.mayBeSpace).filter { id in
                // After another token, as decoders of some tokenizers cut off what a text begins with.
                let text = try tokenizer.decode([Int(end), id]).dropFirst(before)
                return !text.isEmpty && text.allSatisfy { $0 <= 0x20 }
            }
            let last = prompt.last { $0 == start || $0 == end }
            return AnswerHistory.Thoughts(
                start: start, end: end, space: Set(space.map { Int32($0) }), isOpen: last == start)
        }
        return nil
    }
}

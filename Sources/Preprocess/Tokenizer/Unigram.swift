import Shared

/// A unigram language model: the word's tokens are those whose scores have the largest sum.
///
/// Kudo, Subword Regularization (2018), as SentencePiece has it.
struct Unigram: Sendable {
    let vocabulary: Vocabulary
    /// The number of the last token that has a text.
    let trie: ByteTrie
    let scores: [Double]
    let unknownToken: Int32
    /// The score of a character without a token: ten below the lowest.
    let unknownScore: Double
    let byteFallback: ByteFallback?

    private static let unknownPenalty = 10.0

    init(_ node: JSONNode) throws(JSONError) {
        let entries = try node.required("vocab").value.elements
        var vocabulary = Vocabulary(capacity: 1 << 17)
        var trie = ByteTrie()
        var scores: [Double] = []
        for entry in entries {
            guard scores.count < Vocabulary.limit else {
                throw try node.required("vocab").error("has more than \(Vocabulary.limit) tokens")
            }
            let parts = Array(entry.elements)
            guard parts.count == 2, let text = parts[0].utf8, let score = parts[1].double else {
                throw try node.required("vocab").error("has at \(scores.count) no pair of a token and its score")
            }
            guard text.count <= Vocabulary.longestSearched else {
                throw try node.required("vocab").error(
                    "has at \(scores.count) a token of \(text.count) bytes, at most "
                        + "\(Vocabulary.longestSearched) are supported")
            }
            vocabulary.set(scores.count, text, isSearched: true)
            trie.insert(text, Int32(scores.count))
            scores.append(score)
        }
        (self.vocabulary, self.trie, self.scores) = (vocabulary, trie, scores)
        // Without it, tokenizers fails at the first character it doesn't know.
        let unknown = try node.required("unk_id")
        let id = try unknown.asInt()
        guard scores.indices.contains(id) else {
            throw unknown.error("is \(id), but the vocabulary has \(scores.count) tokens")
        }
        unknownToken = Int32(id)
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
        byteFallback = try ByteFallback(node, vocabulary)
    }
}

/// Finds the best tokens of a word by Viterbi's algorithm over its bytes.
final class UnigramLattice: WordEncoder {
    private let model: Unigram
    private(set) var tokens: [Int32] = []
    private(set) var ranges: [Range<Int32>]?
    /// The best way to each byte: its score, its last token and where that begins, -1 if there is none yet.
    private var ends: [(score: Double, token: Int32, start: Int32)] = []
    private var path: [(token: Int32, range: Range<Int>)] = []

    init(_ model: Unigram) { self.model = model }

    func encode(_ word: UnsafeBufferPointer<UInt8>) {
        search(word)
        follow(upTo: word.count)
        tokens.removeAll(keepingCapacity: true)
        var located: [Range<Int32>] = []
        var isPlain = true
        for part in path {
            let range = Int32(part.range.lowerBound)..<Int32(part.range.upperBound)
            let ids =
                part.token == model.unknownToken ? known(UnsafeBufferPointer(rebasing: word[part.range])) : [part.token]
            for id in ids {
                tokens.append(id)
                located.append(range)
                isPlain = isPlain && ids.count == 1 && Int(model.vocabulary.lengths[Int(id)]) == range.count
            }
        }
        ranges = isPlain ? nil : located
    }

    /// Finds the best way to the end of each character; of equals, the one found first.
    private func search(_ word: UnsafeBufferPointer<UInt8>) {
        ends.removeAll(keepingCapacity: true)
        ends.append(contentsOf: repeatElement((score: 0, token: 0, start: -1), count: word.count + 1))
        var (start, characters) = (0, 0)
        while start < word.count {
            characters &+= 1
            if characters & 0xFFFF == 0, Interrupt.isRequested { return }
            let before = ends[start].score
            let characterEnd = min(start + UTF8Scalars.length(word[start]), word.count)
            var hasCharacter = false
            model.trie.forEachPrefix(of: word, from: start) { token, end in
                reach(end, by: token, from: start, before + model.scores[Int(token)])
                hasCharacter = hasCharacter || end == characterEnd
            }
            if !hasCharacter { reach(characterEnd, by: model.unknownToken, from: start, before + model.unknownScore) }
            start = characterEnd
        }
    }

    @inline(__always)
    private func reach(_ end: Int, by token: Int32, from start: Int, _ score: Double) {
        if ends[end].start < 0 || score > ends[end].score { ends[end] = (score, token, Int32(start)) }
    }

    /// Follows the best path from the end to the beginning; unknown characters in a row are one.
    private func follow(upTo count: Int) {
        path.removeAll(keepingCapacity: true)
        var end = count
        while end > 0 {
            let best = ends[end]
            let start = Int(max(best.start, 0))
            if best.token == model.unknownToken, let last = path.last, last.token == best.token {
                path[path.count - 1].range = start..<last.range.upperBound
            } else {
                path.append((best.token, start..<end))
            }
            end = start
        }
        path.reverse()
    }

    /// The tokens of unknown characters.
    private func known(_ text: UnsafeBufferPointer<UInt8>) -> [Int32] {
        if let id = model.trie.number(of: text) { return [id] }
        return model.byteFallback.map { fallback in text.map { fallback.tokens[Int($0)] } } ?? [model.unknownToken]
    }
}

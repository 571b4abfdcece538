/// What of a prompt and of the answer to it stays, in tokens, once they are history: all of it where thoughts are saved;
/// else what the template writes of an earlier turn without thoughts.
///
/// Prompts are built with it, and it is kept in their store. Tokens of answers are never made again from text: what stays
/// of an answer is its last tokens, as the target wrote them.
public struct AnswerHistory: Equatable, Sendable {
    /// What tells thoughts from an answer.
    public struct Thoughts: Equatable, Sendable {
        public var start: Int32
        public var end: Int32
        /// The tokens of nothing but white space, which goes with the thoughts before it.
        public var space: Set<Int32>
        /// Whether the prompt ends within thoughts.
        public var isOpen: Bool

        public init(start: Int32, end: Int32, space: Set<Int32>, isOpen: Bool) {
            (self.start, self.end, self.space, self.isOpen) = (start, end, space, isOpen)
        }
    }

    /// What a prompt ends with, and what earlier turns have in its place.
    public var removed: [Int32]
    public var inserted: [Int32]
    /// Nil where thoughts stay, or can't be told.
    public var thoughts: Thoughts?
    /// Whether also the last turn is written as history is, and not as the target read it.
    public var includesLast: Bool

    /// Everything stays.
    public static let whole = AnswerHistory(removed: [], inserted: [], thoughts: nil, includesLast: false)

    public init(removed: [Int32], inserted: [Int32], thoughts: Thoughts?, includesLast: Bool) {
        (self.removed, self.inserted, self.thoughts, self.includesLast) = (removed, inserted, thoughts, includesLast)
    }

    /// What stays of a prompt: its tokens from the end of the answer before it.
    public func prompt(_ ids: ArraySlice<Int32>) -> [Int32] {
        ids.suffix(removed.count).elementsEqual(removed) ? ids.dropLast(removed.count) + inserted : Array(ids)
    }

    /// What stays of an answer.
    ///
    /// - Parameter isFinished: Whether the last token ends it; that one always stays.
    public func answer(_ ids: [Int32], isFinished: Bool) -> [Int32] {
        guard let thoughts else { return ids }
        let text = isFinished ? ids.dropLast() : ids[...]
        var kept = text
        if let end = text.lastIndex(of: thoughts.end) {
            kept = text[(end + 1)...].drop(while: thoughts.space.contains)
        } else if thoughts.isOpen || text.first(where: { !thoughts.space.contains($0) }) == thoughts.start {
            kept = []
        }
        return Array(kept + ids[text.endIndex...])
    }
}

// MARK: - In a store's manifest

extension AnswerHistory {
    var json: JSONText {
        func list(_ ids: some Sequence<Int32>) -> JSONText { .array(ids.map { .int(Int($0)) }) }
        var members: [(String, JSONText)] = [
            ("removed", list(removed)), ("inserted", list(inserted)), ("includes_last", .bool(includesLast)),
        ]
        if let thoughts {
            members += [
                ("thoughts", list([thoughts.start, thoughts.end])), ("space", list(thoughts.space.sorted())),
                ("is_open", .bool(thoughts.isOpen)),
            ]
        }
        return .object(members)
    }

    init(_ node: JSONNode, vocabSize: Int) throws(JSONError) {
        self.init(
            removed: try node.required("removed").tokens(below: vocabSize),
            inserted: try node.required("inserted").tokens(below: vocabSize), thoughts: nil,
            includesLast: try node.bool("includes_last"))
        guard let pair = node["thoughts"] else { return }
        let ids = try pair.tokens(below: vocabSize)
        guard ids.count == 2 else { throw pair.error("has \(ids.count) tokens, should have the two around thoughts") }
        thoughts = Thoughts(
            start: ids[0], end: ids[1], space: Set(try node.required("space").tokens(below: vocabSize)),
            isOpen: try node.bool("is_open"))
    }
}

extension JSONNode {
    /// The ids of an array.
    fileprivate func tokens(below vocabSize: Int) throws(JSONError) -> [Int32] {
        var ids: [Int32] = []
        for element in try asArray() { ids.append(Int32(try element.asInt(in: 0...vocabSize - 1))) }
        return ids
    }
}

import Shared

/// Records that are tokens already: `input_ids`, `loss_mask` and perhaps `attention_mask`.
extension ConversationParser {
    /// The sample that the arrays of a record are.
    ///
    /// Zeros of the attention mask before and after all ones are padding, which isn't supervised. Zeros between ones are
    /// refused: a draft can't be trained to predict over tokens that it doesn't see.
    static func sample(_ ids: JSONValue, mask: JSONValue?, attention: JSONValue?) throws(Rejection) -> Sample {
        guard let mask, !mask.isNull else { throw Rejection(.badTokens, "has 'input_ids' without 'loss_mask'") }
        guard ids.kind == .array else {
            throw Rejection(.badTokens, "'input_ids' is \(ids.kind.withArticle), should be an array")
        }
        var sample = Sample(inputIDs: [], lossMask: [])
        for element in ids.elements {
            guard let id = element.int.flatMap(Int32.init(exactly:)), id >= 0 else {
                throw Rejection(.badTokens, "element \(sample.inputIDs.count) of 'input_ids' is no token's id")
            }
            sample.inputIDs.append(id)
        }
        sample.lossMask = try marks(mask, "loss_mask", count: sample.inputIDs.count)
        if let attention, !attention.isNull {
            try sample.pad(marks(attention, "attention_mask", count: sample.inputIDs.count))
        }
        return sample
    }

    /// An array of `count` zeros and ones, or of false and true.
    private static func marks(_ value: JSONValue, _ key: String, count: Int) throws(Rejection) -> [Bool] {
        guard value.kind == .array else {
            throw Rejection(.badTokens, "'\(key)' is \(value.kind.withArticle), should be an array")
        }
        var marks: [Bool] = []
        marks.reserveCapacity(count)
        for element in value.elements {
            guard let mark = element.bool ?? element.int.flatMap({ [0: false, 1: true][$0] }) else {
                throw Rejection(.badTokens, "element \(marks.count) of '\(key)' is neither 0 nor 1")
            }
            marks.append(mark)
        }
        guard marks.count == count else {
            throw Rejection(.badTokens, "has \(count) 'input_ids' and \(marks.count) of '\(key)'")
        }
        return marks
    }
}

extension Sample {
    /// Takes over an attention mask, which is as long as the sample.
    fileprivate mutating func pad(_ attention: [Bool]) throws(Rejection) {
        guard let first = attention.firstIndex(of: true), let last = attention.lastIndex(of: true) else {
            throw Rejection(.badTokens, inputIDs.isEmpty ? "'input_ids' is empty" : "'attention_mask' is 0 everywhere")
        }
        if let hole = attention[first...last].firstIndex(of: false) {
            throw Rejection(
                .badTokens, "element \(hole) of 'attention_mask' is 0 between ones; only padding at the ends can be")
        }
        (leadingPadding, trailingPadding) = (first, attention.count - 1 - last)
        for index in attention.indices where !attention[index] { lossMask[index] = false }
    }
}

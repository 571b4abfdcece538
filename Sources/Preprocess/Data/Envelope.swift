/// Finds the array of records in an object that wraps it, as `{"version": 1, "data": [{"conversations": …}, …]}`.
///
/// An object is an envelope if one of its own keys holds an array whose first element is an object with a key of records
/// (see `RecordForms`) and without one of messages, and none of them makes it a record: a record may have documents,
/// examples and other lists beside its messages or its question.
enum Envelope {
    enum Answer: Equatable {
        /// More bytes will tell.
        case unknown
        case none
        /// Where the array's first element may begin, after its bracket.
        case array(first: Int)
    }

    /// The number of bytes that are looked at.
    static let longestHead = 1 << 16

    /// Looks at an object's first bytes.
    static func find(in text: UnsafeRawBufferPointer, isAtEnd: Bool) -> Answer {
        let head = UnsafeRawBufferPointer(rebasing: text.prefix(longestHead))
        let mayTellLater = head.count < longestHead && !isAtEnd
        var (walk, keys) = (ObjectWalk(head), [String]())
        var found: (first: Int, isText: Bool)?
        while let key = walk.nextKey() {
            keys.append(key)
            if found == nil, !RecordForms.messageLists.contains(key), let (array, object) = walk.arrayOfObjects() {
                var element = ObjectWalk(UnsafeRawBufferPointer(rebasing: head[object...]))
                let own = element.keys()
                if RecordForms.isRecord(keys: own) {
                    found = (array + 1, !RecordForms.isConversation(keys: own))
                } else if element.isCutShort {
                    return mayTellLater ? .unknown : .none
                }
            }
            guard walk.skipValue() else { break }
        }
        if RecordForms.isConversation(keys: keys) { return .none }
        if walk.isCutShort, mayTellLater { return .unknown }
        // What is asked has texts as documents beside it.
        guard let found, !found.isText || !keys.contains(where: RecordForms.questions.contains) else { return .none }
        return .array(first: found.first)
    }

    /// Whether an array is one of messages, and so a record itself; nil if more bytes will tell.
    static func isArrayOfMessages(_ text: UnsafeRawBufferPointer, isAtEnd: Bool) -> Bool? {
        let head = UnsafeRawBufferPointer(rebasing: text.prefix(longestHead))
        let mayTellLater = head.count < longestHead && !isAtEnd
        guard let first = head.dropFirst().firstIndex(where: { !isJSONSpace($0) }) else {
            return mayTellLater ? nil : false
        }
        guard head[first] == UInt8(ascii: "{") else { return false }
        var element = ObjectWalk(UnsafeRawBufferPointer(rebasing: head[first...]))
        while let key = element.nextKey() {
            if RecordForms.roleKeys.contains(key) { return true }
            guard element.skipValue() else { break }
        }
        return element.isCutShort && mayTellLater ? nil : false
    }

    static func isArrayOfObjects(_ value: Slice<UnsafeRawBufferPointer>) -> Bool {
        value.first == UInt8(ascii: "[")
            && value.dropFirst().first(where: { !isJSONSpace($0) }) == UInt8(ascii: "{")
    }
}

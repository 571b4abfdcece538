/// What becomes of records that are broken: the only place where looks decide.
extension RecordScanner {
    /// Begins to look for the next record, from the beginning of the one whose brackets or quotation marks can't be right:
    /// when that shows, others may have been mistaken for its parts.
    mutating func fail(_ message: String, _ text: Text, _ position: inout Int) -> Found? {
        guard let record = open else { return nil }
        var from = base + position
        if !record.isTooLarge {
            look(text)
            repeated += from - record.start
            if !record.isImpatient { from = record.start + 1 }
        } else if !record.isImpatient {
            from = max(record.start + 1, from - tail)
            repeated += base + position - from
        }
        open?.recovery = (message, from)
        return recover(text, &position)
    }

    /// Looks for the next record.
    mutating func recover(_ text: Text, _ position: inout Int) -> Found? {
        guard let record = open, let (message, searchFrom) = record.recovery else { return nil }
        var from = searchFrom - base
        while let next = looks.find(in: text.bytes, from: from, isTop: isTop) {
            // On lines of their own, the next line is the next record, be it broken too.
            let isCertain = isOnOwnLine(next, text) || isSpent(at: base + next)
            switch isCertain ? true : isRecord(at: next, text, upTo: next + largestRecord + 1) {
            case true?: return end(at: next, text, &position, .broken(message))
            case false?: from = next + 1
            case nil:
                open?.recovery?.from = base + from
                position = text.end
                return nil
            }
        }
        if text.isAtEnd { return end(at: text.end, text, &position, .broken(message)) }
        open?.recovery?.from = base + looks.searched(text.bytes, from: min(from, text.end))
        position = text.end
        return nil
    }

    /// The file ends within a record: because it breaks off there, or because a bracket is missing long before.
    mutating func endOfFile(_ text: Text, _ position: inout Int) -> Found? {
        dependOnEnd()
        if let next = nextWithin(text) {
            return end(at: next, text, &position, .broken("a bracket isn't closed"))
        }
        return end(at: text.end, text, &position, .unfinished)
    }

    /// A record is larger than any may be: because it is, or because a bracket is missing.
    mutating func reachLargest(_ text: Text, _ position: inout Int) -> Found? {
        let seen = Text(bytes: UnsafeRawBufferPointer(rebasing: text.bytes[..<position]), isAtEnd: false)
        if let next = nextWithin(seen) {
            return end(at: next, text, &position, .broken("a bracket isn't closed"))
        }
        open?.isTooLarge = true
        return nil
    }

    /// Where, within the record that has begun and hasn't ended, another one is that is whole.
    private mutating func nextWithin(_ text: Text) -> Int? {
        guard let record = open, !record.isTooLarge else { return nil }
        look(text)
        repeated += base + text.end - record.start
        var from = record.start + 1 - base
        while let next = looks.find(in: text.bytes, from: from, isTop: isTop) {
            if isOnOwnLine(next, text) && text.isAtEnd || isSpent(at: base + next) { return next }
            if isRecord(at: next, text, upTo: text.end, isCutOff: false) == true { return next }
            from = next + 1
        }
        return nil
    }

    /// Whether what looks like a record at the top begins its line.
    private func isOnOwnLine(_ start: Int, _ text: Text) -> Bool {
        isTop && looks.areOfLines && RecordLooks.isAtLineStart(start, text.bytes)
    }

    /// Whether a whole object with a record's keys begins at a position and is followed as records are; nil if more bytes
    /// will tell.
    ///
    /// - Parameter isCutOff: Whether one that goes on at the end is one.
    private mutating func isRecord(at start: Int, _ text: Text, upTo end: Int, isCutOff: Bool = true) -> Bool? {
        var trial = Trial(start: base + start, scanned: base + start)
        if let begun = open?.trial, begun.start == trial.start { trial = begun }
        var position = trial.scanned - base
        if trial.outcome == .goesOn {
            trial.outcome = trial.value.scan(text.bytes, from: &position, upTo: min(end, text.end))
            repeated += base + position - trial.scanned
            trial.scanned = base + position
            open?.trial = trial
        }
        switch trial.outcome {
        case .broken: return false
        case .goesOn: return position < end && !text.isAtEnd ? nil : isCutOff
        case .complete: break
        }
        // Calls of tools, too, may have an id first.
        var object = ObjectWalk(UnsafeRawBufferPointer(rebasing: text.bytes[start..<position]))
        guard RecordForms.isRecord(keys: object.keys()) else { return false }
        let rest = text.bytes[position...]
        guard let after = rest.firstIndex(where: { !isJSONSpace($0) }) else { return text.isAtEnd ? isTop : nil }
        switch text.bytes[after] {
        case UInt8(ascii: ","): return true
        case UInt8(ascii: "{"), UInt8(ascii: "["): return isTop
        case UInt8(ascii: "]") where !isTop:
            guard let last = rest[(after + 1)...].first(where: { !isJSONSpace($0) }) else {
                return text.isAtEnd ? true : nil
            }
            // Where another bracket closes, or a value follows, it was no record's array that has ended.
            return last == UInt8(ascii: "[") || last == UInt8(ascii: "{")
        default: return false
        }
    }

    /// Takes the looks of the record that has begun.
    private mutating func look(_ text: Text) {
        guard let record = open, !record.isImpatient else { return }
        looks.take(firstByte: text.bytes[record.start - base], indentation: record.indentation)
    }
}

/// Dividing a text. The parts are handed out as ranges of its bytes, one by one, so that each is paid for in time.
extension Text {
    /// The lines, which end as Python's `str.splitlines` sees it.
    func forEachLine(keepEnds: Bool = false, _ body: (Range<Int>) throws(Failure) -> Void) throws(Failure) {
        var (start, position) = (0, 0)
        while position < utf8.count {
            let (scalar, width) = scalarAt(position)
            guard Self.isLineEnd(scalar) else {
                position += width
                continue
            }
            let isPair = scalar == "\r" && position + 1 < utf8.count && utf8[position + 1] == 0x0A
            let end = position + width + (isPair ? 1 : 0)
            try body(start..<(keepEnds ? end : position))
            (start, position) = (end, end)
        }
        if start < utf8.count { try body(start..<utf8.count) }
    }

    private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// The words between space, and what of the text is left after as many.
    ///
    /// - Parameter limit: After how many the rest is one more, up to the text's end; negative for none.
    func forEachWord(atMost limit: Int, _ body: (Range<Int>) throws(Failure) -> Void) throws(Failure) {
        var (count, position) = (0, 0)
        while let word = word(from: position) {
            if count == limit { return try body(word.lowerBound..<utf8.count) }
            try body(word)
            count += 1
            position = word.upperBound
        }
    }

    /// The words between space, and what of the text is left before as many at its end.
    ///
    /// - Parameter limit: Before how many the rest is one more, from the text's start; negative for none.
    func forEachWord(atMostAtEnd limit: Int, _ body: (Range<Int>) throws(Failure) -> Void) throws(Failure) {
        var rest = 0
        if limit >= 0 {
            var (count, position) = (0, 0)
            while let word = word(from: position) { (count, position) = (count + 1, word.upperBound) }
            rest = max(0, count - limit)
        }
        var (index, position) = (0, 0)
        while let word = word(from: position) {
            index += 1
            position = word.upperBound
            if index == rest { try body(0..<word.upperBound) } else if index > rest { try body(word) }
        }
    }

    /// The first word from a byte on.
    private func word(from start: Int) -> Range<Int>? {
        var (begin, position): (Int?, Int) = (nil, start)
        while position < utf8.count {
            let (scalar, width) = scalarAt(position)
            if isSpace(scalar) {
                if let begin { return begin..<position }
            } else if begin == nil {
                begin = position
            }
            position += width
        }
        return begin.map { $0..<utf8.count }
    }

    /// What is found between separators.
    ///
    /// - Parameters:
    ///   - separator: Not empty.
    ///   - limit: At most as many separators; negative for all.
    func forEachPart(
        separator: Text, atMost limit: Int, _ body: (Range<Int>) throws(Failure) -> Void
    ) throws(Failure) {
        var (count, start) = (0, 0)
        while count != limit, let found = find(separator, from: start) {
            try body(start..<found)
            start = found + separator.utf8.count
            count += 1
        }
        try body(start..<utf8.count)
    }
}

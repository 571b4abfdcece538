/// What is found, and what is known of a record that has begun.
extension RecordScanner {
    struct Found: Equatable {
        /// In what is scanned; of a record that is too large, what is left.
        var range: Range<Int>
        /// Where the record begins in the file, in bytes.
        var offset: Int
        /// Of the file, from 1.
        var line: Int
        var isTooLarge = false
        /// Why it can't be parsed, if that is known already.
        var problem: Problem?
    }

    enum Problem: Equatable {
        case broken(String)
        /// Something that should be here is missing.
        case missing(String)
        /// The file ends within it.
        case unfinished
    }

    /// The bytes that are scanned.
    struct Text {
        var bytes: UnsafeRawBufferPointer
        /// Whether the file ends with them.
        var isAtEnd: Bool
        var end: Int { bytes.count }
    }

    /// A record that has begun; positions are of the file.
    struct Open {
        var start: Int
        var line: Int
        var indentation: Int?
        /// Nil for a record that is neither an object, an array nor a string.
        var value: ValueScanner?
        var isTooLarge = false
        /// As far as it was scanned.
        var reached: Int
        /// What shows that it is broken, and from where on the next one is looked for.
        var recovery: (message: String, from: Int)?
        /// Where another record may begin, as far as it was scanned.
        var trial: Trial?
        /// Line ends in the part of it that was removed.
        var removedLineEnds = 0
        /// Whether it ends where the next one seems to begin.
        var isImpatient = false
    }

    /// What is tried as a record, from a position of the file to another.
    struct Trial {
        var start: Int
        var scanned: Int
        var value = ValueScanner()
        var outcome = ValueScanner.Outcome.goesOn
    }
}

import Shared

@testable import Preprocess

/// A record's text as the parser reads it.
@discardableResult
func parseRow(_ text: String, isPreformatted: Bool = false, needsAnswer: Bool = true) throws(Rejection) -> SourceRow {
    try parseRow(Array(text.utf8), ConversationParser(isPreformatted: isPreformatted, needsAnswer: needsAnswer))
}

@discardableResult
func parseRow(_ text: [UInt8], _ parser: ConversationParser) throws(Rejection) -> SourceRow {
    let padded = text + Array(repeating: 0x20, count: JSONParser.padding)
    let row = padded.withUnsafeBytes { bytes in
        Result { () throws(Rejection) in
            try parser.parse(padded: UnsafeRawBufferPointer(rebasing: bytes[..<text.count]))
        }
    }
    return try row.get()
}

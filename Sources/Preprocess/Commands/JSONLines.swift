import Shared

/// Standard input and output of commands that answer JSON lines.
enum JSONLines {
    /// Answers every line of standard input by one of standard output; blank lines are passed over.
    static func answer(with answer: (JSONValue, inout LineOutput) throws -> Void) throws {
        var input = LineInput()
        var output = LineOutput()
        let parser = JSONParser()
        while let line = try input.next() {
            if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do {
                try answer(try parser.parse(line), &output)
                try output.endLine()
            } catch {
                // What was answered before is of use even if this line isn't.
                try output.flush()
                let message = (error as? LineInputError)?.message ?? "\(error)"
                throw LineInputError(message: message, line: input.lineNumber)
            }
        }
        try output.flush()
    }
}

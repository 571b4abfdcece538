import Shared

/// Standard input and output of commands that answer JSON lines.
enum JSONLines {
    /// Answers every line of standard input by one of standard output; blank lines are passed over.
    static func answer(with answer: (JSONValue, inout LineOutput) throws -> Void) throws {
        var output = LineOutput()
        do {
            try read { value in
                try answer(value, &output)
                try output.endLine()
            }
        } catch {
            // What was answered before is of use even if this line isn't.
            try output.flush()
            throw error
        }
        try output.flush()
    }

    /// Reads every line of standard input; blank lines are passed over.
    static func read(_ body: (JSONValue) throws -> Void) throws {
        var input = LineInput()
        let parser = JSONParser(takesNaN: true)
        while let line = try input.next() {
            if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do {
                try body(try parser.parse(line))
            } catch let error as FileError {
                throw error
            } catch {
                let message = (error as? LineInputError)?.message ?? "\(error)"
                throw LineInputError(message: message, line: input.lineNumber)
            }
        }
    }
}

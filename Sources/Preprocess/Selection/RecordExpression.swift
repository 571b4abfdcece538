import CJQ
import Shared

/// A jq expression of a record, by libjq: `.finished and (.conversations | length) > 2`.
///
/// Used by one thread. Numbers are doubles, as they are to jq.
final class RecordExpression {
    private let state: OpaquePointer
    private let messages = Messages()

    /// - Throws: `RecordFilter.Failure` if it is no expression.
    init(_ text: String) throws(RecordFilter.Failure) {
        guard let state = jq_init() else { throw RecordFilter.Failure(message: "jq can't begin") }
        self.state = state
        let add: jq_msg_cb = { messages, line in
            guard let messages else { return }
            Unmanaged<Messages>.fromOpaque(messages).takeUnretainedValue().add(jq_format_error(line))
        }
        jq_set_error_cb(state, add, Unmanaged.passUnretained(messages).toOpaque())
        guard jq_compile(state, text) != 0 else {
            throw RecordFilter.Failure(message: messages.first ?? "is no jq expression")
        }
    }

    deinit {
        var state: OpaquePointer? = state
        jq_teardown(&state)
    }

    /// Whether the expression makes something of a record, the first of what it makes being neither false nor null.
    ///
    /// - Throws: `RecordFilter.Failure` if it fails on it.
    func holds(for record: JSONValue) throws(RecordFilter.Failure) -> Bool {
        let text = Array(JSONText(record).compact.utf8)
        guard let count = Int32(exactly: text.count) else {
            throw RecordFilter.Failure(message: "it has \(text.count) bytes, more than jq takes")
        }
        let input = text.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { jv_parse_sized($0.baseAddress, count) }
        }
        // What isn't valid is the error of its reading, as of more levels than jq takes.
        guard jv_get_kind(input) != JV_KIND_INVALID else { throw failure(input) }
        jq_start(state, input, 0)
        let first = jq_next(state)
        let kind = jv_get_kind(first)
        guard kind != JV_KIND_INVALID else {
            if jv_invalid_has_msg(jv_copy(first)) != 0 { throw failure(first) }
            jv_free(first)
            return false
        }
        jv_free(first)
        return kind != JV_KIND_FALSE && kind != JV_KIND_NULL
    }

    private func failure(_ invalid: jv) -> RecordFilter.Failure {
        let message = jv_invalid_get_msg(invalid)
        defer { jv_free(message) }
        guard jv_get_kind(message) == JV_KIND_STRING, let text = jv_string_value(message) else {
            return RecordFilter.Failure(message: "it fails without a message")
        }
        return RecordFilter.Failure(message: String(cString: text))
    }

    /// What jq says of an expression, of which the first line tells the most.
    private final class Messages {
        private(set) var first: String?

        func add(_ line: jv) {
            defer { jv_free(line) }
            guard first == nil, jv_get_kind(line) == JV_KIND_STRING, let bytes = jv_string_value(line) else { return }
            first = String(cString: bytes).split(separator: "\n").joined(separator: " ")
        }
    }
}

import Glibc
import Shared

/// TensorBoard's event files: a record an event, as its `SummaryWriter` makes them.
///
/// A run that is resumed writes a file of its own, which begins by telling TensorBoard to forget the steps after the one
/// that it goes on from: a run that was lost may have written some.
final class EventFile: MetricsWriter {
    /// The folder beside `metrics.jsonl`.
    static let directoryName = "tensorboard"

    let path: String
    /// Tags of which the file says what they mean.
    private var explained: Set<String> = []

    /// Begins a file for the steps after `step`.
    init(directory: String, after step: Int) throws {
        try makeDirectory(directory)
        // TensorBoard reads a directory's files in the order of their names.
        let second = time(nil)
        let host = (try? readFile("/proc/sys/kernel/hostname")).map {
            String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace && $0 != "/" }
        }
        let number = try listDirectory(directory).count
        let name = "events.out.tfevents.\(second).\(host ?? "localhost").\(getpid()).\(number)"
        path = "\(directory)/\(name)"
        try write([
            Event(step: 0) { $0.string("brain.Event:2", field: Event.fileVersion) },
            Event(step: step + 1) { $0.message(field: Event.sessionLog) { $0.int(Event.start, field: 1) } },
        ])
    }

    /// Numbers become scalars `train/losses/0` and `held_out/losses/0`; what describes a run becomes a text.
    func append(_ record: MetricsRecord) throws {
        let event =
            record.kind == .run
            ? Event(step: record.step) { $0.text(record.kind.rawValue, Self.table(record.values)) }
            : Event(step: record.step) { event in
                event.scalars(JSONText.object(record.values).scalars(record.kind.rawValue), explained: &explained)
            }
        try write([event])
    }

    private func write(_ events: [Event]) throws {
        try appendToFile(path, events.flatMap { TFRecord.framed($0.message.bytes) })
    }

    /// Names and values as a table of Markdown.
    private static func table(_ values: [(String, JSONText)]) -> String {
        let rows = values.flatMap { name, value in
            if case .object(let members) = value { members } else { [(name, value)] }
        }
        return "| | |\n|---|---|\n" + rows.map { "| \(cell($0.0)) | \(cell($0.1.plain)) |\n" }.joined()
    }

    private static func cell(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}

/// An event of TensorBoard's `event.proto`, with the numbers of its fields.
private struct Event {
    static let (wallTime, step, fileVersion, summary, sessionLog) = (
        UInt64(1), UInt64(2), UInt64(3), UInt64(5), UInt64(7)
    )
    /// `SessionLog.START`, after which no step of earlier files counts.
    static let start = 1

    private(set) var message = ProtobufMessage()

    init(step: Int, _ build: (inout Event) -> Void) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        message.double(Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9, field: Self.wallTime)
        message.int(step, field: Self.step)
        build(&self)
    }

    mutating func string(_ value: String, field: UInt64) { message.string(value, field: field) }

    mutating func message(field: UInt64, _ build: (inout ProtobufMessage) -> Void) {
        message.message(field: field, build)
    }

    /// A summary of scalars; where its tag is new, each says that it is one, and what it means.
    mutating func scalars(_ values: [(tag: String, value: Double)], explained: inout Set<String>) {
        message.message(field: Self.summary) { summary in
            for (tag, value) in values {
                let metric = tag.split(separator: "/").lazy.compactMap { Metric.byName[String($0)] }.first
                let isNew = explained.insert(tag).inserted
                summary.message(field: 1) {
                    $0.string(tag, field: 1)
                    $0.message(field: 8) { tensor in
                        tensor.int(1, field: 1)  // DT_FLOAT
                        tensor.message(field: 2) { _ in }
                        tensor.float(Float(value), field: 5)
                    }
                    guard isNew else { return }
                    $0.message(field: 9) { metadata in
                        metadata.message(field: 1) { $0.string("scalars", field: 1) }
                        metadata.string(metric?.description ?? "", field: 3)
                        metadata.int(1, field: 4)  // DATA_CLASS_SCALAR
                    }
                }
            }
        }
    }

    /// A summary of a text, in Markdown.
    mutating func text(_ tag: String, _ text: String) {
        message.message(field: Self.summary) { summary in
            summary.message(field: 1) { value in
                value.string(tag, field: 1)
                value.message(field: 8) { tensor in
                    tensor.int(7, field: 1)  // DT_STRING
                    tensor.message(field: 2) { shape in shape.message(field: 2) { $0.int(1, field: 1) } }
                    tensor.string(text, field: 8)
                }
                value.message(field: 9) { metadata in metadata.message(field: 1) { $0.string("text", field: 1) } }
            }
        }
    }
}

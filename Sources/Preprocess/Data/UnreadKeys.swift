import Shared

/// The columns of records and the keys of messages that nothing reads, for the log: what is left out is named.
struct UnreadKeys: Equatable {
    private(set) var records = 0
    private(set) var columns: [String] = []
    private(set) var messageKeys: [String] = []

    /// How many records of a dataset are looked at.
    static let mostRecords = 100
    private static let mostNames = 12

    private static let ofEveryRecord = Set(
        RecordForms.ids + RecordForms.systems + ToolForms.keys + [Supervision.rowKey] + Supervision.rowSwitches
            + Supervision.preferenceKeys + MediaForms.columns + ["row_idx", "row", "truncated_cells"])
    private static let ofEveryMessage = Set(
        RecordForms.roleKeys + RecordForms.contentKeys + MessageFields.known + ["function_call"] + ToolForms.keys
            + Reasoning.keys + Supervision.messageKeys + Supervision.detailKeys + RecordForms.ids)

    /// Looks at a dataset's first records; what of them can't be read is for the build to report.
    init(ofFirstRecords paths: [String], isPreformatted: Bool) {
        var reader = DatasetReader(paths)
        guard let batch = try? reader.next() else { return }
        let parser = JSONParser(takesNaN: true)
        defer { withExtendedLifetime(parser) {} }
        batch.bytes.withUnsafeBytes { bytes in
            for record in batch.records.prefix(Self.mostRecords) where record.problem == nil {
                let text = UnsafeRawBufferPointer(rebasing: bytes[record.range])
                if let root = try? parser.parse(padded: text) { look(at: root, isPreformatted: isPreformatted) }
            }
        }
    }

    init() {}

    /// What is logged; nil if all is read.
    var line: String? {
        func list(_ keys: [String]) -> String {
            keys.prefix(Self.mostNames).map { "'\(printable(String($0.prefix(40))))'" }.joined(separator: ", ")
                + (keys.count > Self.mostNames ? ", …" : "")
        }
        var parts: [String] = []
        if !columns.isEmpty { parts.append("columns \(list(columns))") }
        if !messageKeys.isEmpty { parts.append("keys of messages \(list(messageKeys))") }
        guard !parts.isEmpty else { return nil }
        return
            "not read, by the first \(records == 1 ? "record" : "\(records) records"): \(parts.joined(separator: "; "))"
    }

    /// Looks at a record, unless it is of no known form: such a one is rejected with its keys.
    mutating func look(at root: JSONValue, isPreformatted: Bool = false) {
        let root = root.value("row_idx") == nil ? root : root.value("row") ?? root
        let list = RecordForms.first(RecordForms.messageLists, in: root)
        guard let columns = Self.columns(of: root, list?.key, isPreformatted) else { return }
        records += 1
        let read = Self.ofEveryRecord.union(columns)
        for member in root.members where !member.value.isNull {
            let key = String(decoding: member.key, as: UTF8.self)
            let name = key.prefix(1).lowercased() + key.dropFirst()
            if !read.contains(key), !read.contains(name) { Self.add(key, to: &self.columns) }
        }
        let messages = list?.value ?? root.value(RecordForms.dialogue) ?? root
        for message in messages.elements where RecordForms.roleKeys.firstValue(in: message) != nil {
            for member in message.members where !member.value.isNull {
                let key = String(decoding: member.key, as: UTF8.self)
                if !Self.ofEveryMessage.contains(key) { Self.add(key, to: &messageKeys) }
            }
        }
    }

    /// The columns that are read of a record of this form; nil where the form isn't known.
    private static func columns(of root: JSONValue, _ list: String?, _ isPreformatted: Bool) -> [String]? {
        if root.kind == .array { return [] }
        if isPreformatted { return ["text"] }
        if root.value("input_ids") != nil { return ["input_ids", "loss_mask", "attention_mask"] }
        if let list { return [list] }
        if root.value(RecordForms.dialogue)?.kind == .array { return [RecordForms.dialogue, "prompt"] }
        let answered = RecordForms.first(RecordForms.answers + [RecordForms.calls], in: root)?.key
        guard let asked = RecordForms.first(RecordForms.questions, in: root)?.key, let answered else {
            let sides = RecordForms.userSides + RecordForms.assistantSides
            return RecordForms.first(sides, in: root) == nil ? nil : sides
        }
        let context = RecordForms.first(RecordForms.contexts, in: root, except: asked)?.key
        return [asked, answered, "history"] + Reasoning.keys + [context].compactMap(\.self)
    }

    private static func add(_ key: String, to keys: inout [String]) {
        if !keys.contains(key), keys.count <= mostNames { keys.append(key) }
    }
}

extension StoreManifest {
    /// The manifest as it is stored; keys are in Documentation/StoreFormat.md.
    public var json: JSONText {
        var members: [(String, JSONText)] = [
            ("format", .int(Self.formatVersion)), ("state", .string(state.rawValue)),
            ("program_version", .string(programVersion)), ("files", .array(files.map(\.json))),
            ("target_model_path", .string(targetModelPath)),
            ("settings", settings.json), ("derived", .object(derived.map { ($0.name, .string($0.value)) })),
            ("vocab_size", .int(vocabSize)), ("tokenizer", tokenizer.json),
            ("special_tokens", .array(specialTokens.map(\.json))),
            ("draft_vocab_sizes", .array(draftVocabSizes.map(JSONText.int))),
            (
                "layout",
                .object([
                    ("group_tokens", .int(layout.groupTokens)), ("block_bytes", .int(layout.blockBytes)),
                    ("rank_tokens", .int(layout.rankTokens)), ("compression_level", .int(layout.compressionLevel)),
                ])
            ), ("counts", counts.json),
        ]
        if answerHistory != .whole { members.append(("answer_history", answerHistory.json)) }
        return .object(members)
    }

    /// Reads a manifest of this program's format, which may hold anything; keys that it doesn't know are ignored.
    init(_ root: JSONNode) throws(JSONError) {
        guard let state = State(rawValue: try root.string("state")) else {
            throw try root.required("state").error("should be building or complete")
        }
        self.state = state
        programVersion = try root.string("program_version")
        files = []
        for file in try root.required("files").elements { files.append(try DataFile(file)) }
        targetModelPath = try root.string("target_model_path")
        settings = try StoredSettings(root.required("settings"))
        derived = []
        for (name, value) in try root.required("derived").members {
            derived.append(Setting(name, try value.asString()))
        }
        vocabSize = try root.int("vocab_size", in: ModelConfiguration.vocabSizes)
        tokenizer = try TokenizerIdentity(root.required("tokenizer"))
        specialTokens = []
        for node in try root.required("special_tokens").asArray() {
            specialTokens.append(try SpecialToken(node, vocabSize: vocabSize))
        }
        draftVocabSizes = []
        for size in try root.required("draft_vocab_sizes").asArray() {
            draftVocabSizes.append(try size.asInt(in: (draftVocabSizes.last ?? 0) + 1...vocabSize))
        }
        layout = StoreLayout()
        let stored = try root.required("layout")
        layout.groupTokens = try stored.int("group_tokens")
        layout.blockBytes = try stored.int("block_bytes")
        layout.rankTokens = try stored.int("rank_tokens")
        layout.compressionLevel = try stored.int("compression_level")
        counts = try StoreCounts(root.required("counts"))
        if let node = root["answer_history"] { answerHistory = try AnswerHistory(node, vocabSize: vocabSize) }
    }
}

extension StoreManifest.DataFile {
    package var json: JSONText {
        .object([
            ("path", .string(path)), ("size", .int(status.size)), ("mtime_ns", .int(status.modifiedNanoseconds)),
            ("inode", .int(status.inode)), ("xxh128", digest.map(JSONText.string) ?? .null),
            ("appendable", .bool(isAppendable)),
        ])
    }

    init(_ node: JSONNode) throws(JSONError) {
        path = try node.string("path")
        status = FileStatus(
            size: try node.int("size", in: 0...StoreCounts.largest), modifiedNanoseconds: try node.int("mtime_ns"),
            inode: try node.int("inode"))
        digest = try node["xxh128"]?.asString()
        isAppendable = try node.bool("appendable")
    }
}

extension JSONNode {
    /// - Throws: `JSONError` if it isn't an integer of a range.
    func asInt(in range: ClosedRange<Int>) throws(JSONError) -> Int {
        let value = try asInt()
        guard range.contains(value) else {
            throw error("is \(value), should be \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func int(_ key: String, in range: ClosedRange<Int>) throws(JSONError) -> Int {
        try required(key).asInt(in: range)
    }
}

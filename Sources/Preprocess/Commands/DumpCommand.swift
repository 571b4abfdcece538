import Shared

/// `Preprocess dump`: a store's samples as JSONL.
struct DumpOptions: Options {
    static let summary = "Writes every sample as a JSON object a line, in the store's order."

    var store = StoreChoice()
}

enum DumpCommand {
    static let command = Command("dump", DumpOptions.self, body: run)

    @Sendable private static func run(_ options: DumpOptions) throws {
        let store = try options.store.open()
        var output = LineOutput()
        for index in 0..<store.count {
            let sample = try store.sample(at: index)
            output.append("{\"id\": ")
            output.append(quoting: try store.source(of: index).id)
            output.append(", \"input_ids\": ")
            output.append(sample.inputIDs)
            output.append(", \"loss_mask\": ")
            output.append(sample.lossMask.lazy.map { $0 ? 1 : 0 })
            output.append(", \"attention_mask\": ")
            output.append(sample.inputIDs.indices.lazy.map { sample.attended.contains($0) ? 1 : 0 })
            output.append("}")
            try output.endLine()
        }
        try output.flush()
    }
}

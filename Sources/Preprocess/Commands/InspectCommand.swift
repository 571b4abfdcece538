@preconcurrency import Glibc
import Shared

/// `Preprocess inspect`: what is in a store.
struct InspectOptions: Options {
    static let summary =
        "Shows a sample with its supervised tokens marked, a store's statistics, or what its dataset has in common with "
        + "others."

    var store = StoreChoice()
    @Option("The number of the sample to show, from 0.", in: 0...) var sample: Int?
    @Flag("List the records that were rejected or repaired, with line and reason.") var rejected
    @Option("Draft vocabulary sizes to report the coverage of.", value: "INT...", in: ModelConfiguration.vocabSizes)
    var draftVocabSize: [Int] = []
    @Option("Write the draft vocabulary of the one --draft-vocab-size, d2t and t2d, as safetensors.", value: "FILE")
    var mapping: String?
    @Option(
        "Other data, whose store is in the cache too: report how much of them draft vocabularies cover.",
        value: "FILE...")
    var evalDataPath: [String] = []
    @Option(
        "List duplicate records, and records whose first question is also in these files.", value: "FILE...")
    var checkOverlap: [String] = []
    @Option("Write the statistics and some samples as one HTML page.", value: "FILE") var html: String?
    @Option("The target model, if it isn't where it was when the store was built.", value: "DIR|GGUF")
    var targetModelPath: String?
    @Flag("Write the statistics as one JSON object.") var json

    func validate() throws(OptionsError) {
        if sample != nil && (rejected || json) { throw .rule("--sample can't be combined with --rejected or --json") }
        let shown = [sample != nil, rejected, html != nil, mapping != nil, !checkOverlap.isEmpty].count(where: \.self)
        if shown > 1 {
            throw .rule("only one of --sample, --rejected, --html, --mapping and --check-overlap can be given")
        }
        if mapping != nil && draftVocabSize.count != 1 {
            throw .rule("--mapping needs one --draft-vocab-size, not \(draftVocabSize.count)")
        }
        if rejected && json { throw .rule("--rejected can't be combined with --json") }
    }
}

enum InspectCommand {
    static let command = Command("inspect", InspectOptions.self, body: run)

    @Sendable private static func run(_ options: InspectOptions) throws {
        let store = try options.store.open()
        if let number = options.sample {
            try show(number, of: store, options)
        } else if options.rejected {
            try list(try store.notes(), of: store)
        } else if let path = options.mapping {
            try write(store, draftVocabSize: options.draftVocabSize[0], to: path)
        } else if !options.checkOverlap.isEmpty {
            let report = try OverlapReport(store.manifest, StoreLocation.expand(options.checkOverlap))
            print(options.json ? report.json.compact : report.text)
        } else {
            let heldOut =
                try options.evalDataPath.isEmpty
                ? nil : StoreChoice.open(cacheDir: options.store.cacheDir, dataPaths: options.evalDataPath)
            let statistics = try StoreStatistics(store, draftVocabSizes: options.draftVocabSize, heldOut: heldOut)
            if let path = options.html {
                let report = HTMLReport(store: store, statistics: statistics, tokenizer: try tokenizer(store, options))
                try writeFile(path, report.page().utf8)
                return Log.line("wrote \(path)")
            }
            print(options.json ? statistics.json.compact : statistics.text)
        }
    }

    /// Writes a draft vocabulary as the two tensors of a checkpoint.
    private static func write(_ store: SampleStore, draftVocabSize: Int, to path: String) throws {
        let mapping = try store.vocabularyMapping(draftVocabSize: draftVocabSize)
        try mapping.write(safetensors: path)
        Log.line(
            "wrote \(path): \(draftVocabSize) of \(mapping.vocabSize) tokens, which cover "
                + "\(fixed(100 * mapping.coverage, 2))% of supervised tokens")
    }

    /// The sample's text; supervised tokens are green on a terminal and between `[[` and `]]` elsewhere.
    private static func show(_ number: Int, of store: SampleStore, _ options: InspectOptions) throws {
        guard (0..<store.count).contains(number) else {
            throw StoreError(store.path, "has no sample \(number): it has \(store.count), from 0")
        }
        let tokenizer = try tokenizer(store, options)
        let sample = try store.sample(at: number)
        let source = try store.source(of: number)
        let file = store.manifest.files.indices.contains(source.file) ? store.manifest.files[source.file].path : "?"
        let supervised = sample.lossMask.count(where: \.self)
        Log.line(
            "sample \(number) of \(store.count), id '\(printable(String(decoding: source.id, as: UTF8.self)))', "
                + "\(file):\(source.line), \(sample.inputIDs.count) tokens, \(supervised) supervised")
        let isTerminal = isatty(STDOUT_FILENO) != 0
        let isColoured = isTerminal && getenv("NO_COLOR") == nil
        let (begin, end) = isColoured ? ("\u{1b}[32m", "\u{1b}[0m") : ("[[", "]]")
        var output = LineOutput()
        for piece in try SampleText(sample, tokenizer).pieces {
            if piece.isSupervised { output.append(begin) }
            if isTerminal {
                output.append(printable(String(decoding: piece.utf8, as: UTF8.self), keepsLines: true))
            } else {
                output.buffer += piece.utf8
            }
            if piece.isSupervised { output.append(end) }
        }
        try output.endLine()
        try output.flush()
    }

    private static func tokenizer(_ store: SampleStore, _ options: InspectOptions) throws -> Tokenizer {
        let model = try ModelFiles(options.targetModelPath ?? store.manifest.targetModelPath)
        let tokenizer = try Tokenizer(model)
        guard let own = try TokenizerIdentity(model.files),
            let difference = store.manifest.tokenizer.difference(from: own)
        else { return tokenizer }
        throw StoreError(
            store.path,
            "was built with the tokenizer of \(store.manifest.targetModelPath), which isn't that of \(model.path) "
                + "(\(difference)); give its --target-model-path")
    }

    private static func list(_ notes: [SourceNote], of store: SampleStore) throws {
        let files = store.manifest.files.map(\.path)
        var output = LineOutput()
        for note in notes {
            let file = files.indices.contains(note.file) ? files[note.file] : "?"
            let kind = note.kind == .rejected ? "rejected" : "repaired"
            let detail = note.detail.isEmpty ? "" : ": \(note.detail)"
            output.append(printable("\(file):\(note.line): \(kind), \(note.reason)\(detail) (byte \(note.offset))"))
            try output.endLine()
        }
        try output.flush()
    }
}

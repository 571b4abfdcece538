import Shared

/// `Preprocess select`: the records of a dataset that are wanted, as files of their own.
struct SelectOptions: Options {
    static let summary =
        "Writes those records of a dataset that are wanted, a line each and unchanged: without copies, without another "
        + "dataset's questions, drawn at random, with some held out."

    @Option("Records as JSON, in all forms that build reads.", value: "FILE|DIR...") var trainDataPath: [String]
    @Option("Where to write the records; FILE.report.json gets the settings and counts.", value: "FILE")
    var output: String
    @Option("Where to write the records that are held out.", value: "FILE") var heldOutOutput: String?
    @Option("The share of different first questions whose records are held out: the two files share none.", in: 0...1)
    var split: Float = 0
    @Option("The most records, drawn at random; all if left out.", in: 1...) var maxSamples: Int?
    @Option("The most records of a file, drawn at random: its path or name, and the number.", value: "FILE=INT...")
    var cap: [String] = []
    @Option("Seed of what is drawn and held out.", in: 0...) var sampleSeed = 0
    @Option(
        "Leave out records with the same messages as an earlier one; near: also those that ask nearly the same.")
    var deduplicate: RecordSelection.Deduplication?
    @Option("Leave out records whose first question is one of these data's.", value: "FILE|DIR...")
    var decontaminate: [String] = []
    @Option("The fewest questions of a conversation.", in: 0...) var minTurns = 0
    @Option("The most questions of a conversation; any number if left out.", in: 0...) var maxTurns: Int?
    @Option(
        "A jq expression that must make something of a record but false and null, as '.finished and .language == \"en\"'.",
        value: "EXPRESSION")
    var filter: String?
    @Option("The fewest tokens of a record as the target's template writes it.", in: 0...) var minTokens: Int?
    @Option("The most tokens of a record; any number if left out.", in: 0...) var maxTokens: Int?
    @Option("The target model whose tokens are counted.", value: "DIR|GGUF") var targetModelPath: String?
    var template = ChatTemplateOptions()
    @Option("Roles of the data by other names, as of build.", value: "NAME=ROLE...") var roleMap: [String] = []
    @Option("The largest record, in MiB; a larger one is left out.", value: "MIB", in: BuildSettings.recordSizes)
    var maxRecordSize = 5
    @Flag("Write the report as one JSON object.") var json

    func validate() throws(OptionsError) {
        _ = try RoleNames(roleMap)
        if (split > 0) != (heldOutOutput != nil) {
            throw .rule("--split and --held-out-output are given together or not at all")
        }
        if let maxTurns, maxTurns < minTurns {
            throw .rule("--max-turns is \(maxTurns), should be at least --min-turns, \(minTurns)")
        }
        if let minTokens, let maxTokens, maxTokens < minTokens {
            throw .rule("--max-tokens is \(maxTokens), should be at least --min-tokens, \(minTokens)")
        }
        if countsTokens != (targetModelPath != nil) {
            throw .rule("--min-tokens or --max-tokens and --target-model-path are given together or not at all")
        }
        if let filter {
            do throws(RecordFilter.Failure) {
                _ = try RecordExpression(filter)
            } catch {
                throw .rule("--filter '\(filter)': \(error.message)")
            }
        }
        for pair in cap where !pair.dropFirst().contains("=") {
            throw .rule("'\(pair)' should be a name, '=' and a value")
        }
        if trainDataPath.contains("-") { throw .rule("--train-data-path: records are read twice; give a file") }
    }

    private var countsTokens: Bool { minTokens != nil || maxTokens != nil }

    func settings(_ paths: [String]) throws -> RecordSelection.Settings {
        var settings = RecordSelection.Settings(
            deduplicates: deduplicate, decontaminateBy: StoreLocation.expand(decontaminate), most: maxSamples,
            heldOut: Double("\(split)") ?? 0, seed: sampleSeed, roles: try RoleNames(roleMap),
            largestRecord: maxRecordSize << 20)
        settings.filter.turns = minTurns...(maxTurns ?? .max)
        settings.filter.expression = filter
        if let targetModelPath {
            let (format, target) = try template.load(targetModelPath)
            settings.filter.tokens = (minTokens ?? 0)...(maxTokens ?? .max)
            settings.filter.target = (format, target)
        }
        for pair in cap {
            let end = pair.lastIndex(of: "=") ?? pair.endIndex
            let (name, number) = (pair[..<end], Int(pair[end...].dropFirst()))
            guard let number, number >= 0 else { throw OptionsError.rule("--cap: '\(pair)' should end with a number") }
            let files = paths.indices.filter { paths[$0] == name || paths[$0].hasSuffix("/\(name)") }
            guard !files.isEmpty else { throw OptionsError.rule("--cap: '\(name)' is none of the dataset's files") }
            for file in files { settings.caps[file] = number }
        }
        return settings
    }
}

enum SelectCommand {
    static let command = Command("select", SelectOptions.self, body: run)

    @Sendable private static func run(_ options: SelectOptions) throws {
        Interrupt.install()
        let files = try StoreLocation.files(options.trainDataPath)
        let paths = files.map(\.path)
        let outputs = [options.output, options.heldOutOutput].compactMap(\.self)
        guard Set(outputs.map(absolutePath)).count == outputs.count,
            Set(outputs.map(absolutePath)).isDisjoint(with: paths)
        else { throw OptionsError.rule("--output and --held-out-output must be files of their own") }
        let settings = try options.settings(paths)
        let selection = try RecordSelection(paths, settings)
        try write(selection, files, settings, options)
        if let problem = selection.firstProblem { Log.line("left out first: \(problem)") }
        let report = SelectionReport(selection, paths)
        let used = options.given.map {
            ($0.name, $0.values.map { JSONText.array($0.map(JSONText.string)) } ?? .bool(true))
        }
        let record = JSONText.object([("settings", .object(used)), ("counts", report.json)])
        try writeFile("\(options.output).report.json", record.pretty.utf8)
        print(options.json ? report.json.compact : report.text)
    }

    private static func write(
        _ selection: RecordSelection, _ files: [StoreManifest.DataFile], _ settings: RecordSelection.Settings,
        _ options: SelectOptions
    ) throws {
        let train = try RecordFile(options.output)
        let heldOut = try options.heldOutOutput.map { try RecordFile($0) }
        var number = 0
        try RecordSelection.forEachRow(files.map(\.path), settings) { _, _, _, text in
            guard number < selection.fates.count else { return }
            switch selection.fates[number] {
            case .train: try train.add(text)
            case .heldOut: try heldOut?.add(text)
            default: break
            }
            number += 1
        }
        for file in files where try FileStatus(of: file.path) != file.status {
            throw DatasetError(path: file.path, message: "changed while it was read; select again")
        }
        try train.finish()
        try heldOut?.finish()
    }
}

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
    @Option(
        "Draw records of several sources in these proportions, as many as the scarcest allows: a file's path or name, or a "
            + "directory, and its weight; every file has one.", value: "FILE|DIR=NUMBER...")
    var weight: [String] = []
    @Option(
        "Give each record a member of this name with the file and line that it comes from; unchanged if left out.",
        value: "NAME")
    var sourceField: String?
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
        for pair in cap + weight where !pair.dropFirst().contains("=") {
            throw .rule("'\(pair)' should be a name, '=' and a value")
        }
        if trainDataPath.contains("-") { throw .rule("--train-data-path: records are read twice; give a file") }
    }

    private var countsTokens: Bool { minTokens != nil || maxTokens != nil }

    func settings() throws -> RecordSelection.Settings {
        let files = NamedFiles(trainDataPath)
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
            let (name, value) = Self.parts(pair)
            guard let number = Int(value), number >= 0 else {
                throw OptionsError.rule("--cap: '\(pair)' should end with a number")
            }
            let called = files.called(name)
            guard !called.isEmpty else { throw OptionsError.rule("--cap: '\(name)' is none of the dataset's files") }
            for file in called {
                guard settings.caps.updateValue(number, forKey: file) == nil else {
                    throw OptionsError.rule("--cap: \(files.paths[file]) has two, the second by '\(pair)'")
                }
            }
        }
        if !weight.isEmpty { settings.weights = try weights(files) }
        return settings
    }

    private static func parts(_ pair: String) -> (name: String, value: Substring) {
        let end = pair.lastIndex(of: "=") ?? pair.endIndex
        return (String(pair[..<end]), pair[end...].dropFirst())
    }

    private func weights(_ files: NamedFiles) throws(OptionsError) -> SourceWeights {
        var weights = SourceWeights()
        for pair in weight {
            let (name, value) = Self.parts(pair)
            guard let number = Double(value), number > 0, number.isFinite else {
                throw .rule(
                    "--weight: '\(pair)' should end with a number above 0; leave out files of which none is wanted")
            }
            let named = Set(files.called(name) + files.within(name)).sorted()
            guard !named.isEmpty else {
                throw .rule("--weight: '\(name)' is none of the dataset's files or directories")
            }
            for file in named {
                guard weights.ofFile.updateValue(weights.sources.count, forKey: file) == nil else {
                    throw .rule("--weight: \(files.paths[file]) has two weights, the second by '\(pair)'")
                }
            }
            weights.sources.append(.init(name: name, weight: number))
        }
        if let file = files.paths.indices.first(where: { weights.ofFile[$0] == nil }) {
            throw .rule("--weight: \(files.paths[file]) has none; give every file one")
        }
        return weights
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
        let settings = try options.settings()
        let selection = try RecordSelection(paths, settings)
        try write(selection, files, settings, options)
        if let problem = selection.firstProblem { Log.line("left out first: \(problem)") }
        if let problem = selection.others?.firstProblem { Log.line("of the other data not read first: \(problem)") }
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
        try RecordSelection.forEachRow(files.map(\.path), settings) { file, line, row, text in
            guard number < selection.fates.count else { return }
            defer { number += 1 }
            let fate = selection.fates[number]
            guard let output = fate == .train ? train : fate == .heldOut ? heldOut : nil else { return }
            let source = JSONText.object([("file", .string(files[file].path)), ("line", .int(line))])
            if let name = options.sourceField, case .success((_, let value)) = row, value[name] != nil {
                throw DatasetError(
                    path: "\(files[file].path):\(line)",
                    message: "has a member '\(name)' already; name another by --source-field")
            }
            try output.add(text, with: options.sourceField.map { ($0, source) })
        }
        for file in files where try FileStatus(of: file.path) != file.status {
            throw DatasetError(path: file.path, message: "changed while it was read; select again")
        }
        try train.finish()
        try heldOut?.finish()
    }
}

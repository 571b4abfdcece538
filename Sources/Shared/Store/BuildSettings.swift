/// How conversations become text: options of every command that renders.
public struct ChatTemplateOptions: Options {
    /// The value of `--chat-template` for a model's own template.
    public static let automatic = "auto"
    /// What templates write as the day's date where none is given: that of Llama's templates, so that the text doesn't
    /// depend on the day on which it is made.
    public static let defaultDate = "26 Jul 2024"

    @Option(
        "How conversations are written: auto (the model's own template), a built-in template's name, or a file.",
        value: "auto|NAME|FILE.jinja|FILE.json")
    public var chatTemplate = Self.automatic
    @Option("Date that templates write, as '26 Jul 2024' (the default).")
    public var dateString: String?
    @Option("Variables for the template as JSON, as '{\"enable_thinking\": false}'.", value: "JSON")
    public var chatTemplateKwargs: String?

    public init() {}
}

/// What becomes of samples with more than the most tokens.
public enum Overflow: String, CaseIterable, OptionValue {
    /// Tokens after the most are cut off.
    case truncate
    /// The record is rejected.
    case drop
    /// The record becomes several samples, each but the last with the most tokens.
    case split
}

/// Which answers of a conversation a target is to make.
public enum PromptTurns: String, CaseIterable, OptionValue {
    /// Each, with the history that its own answers make.
    case all
    /// The last one, with the history that the data have.
    case last
    /// The first one, after which nothing follows.
    case first
}

extension ChatTemplateOptions {
    /// A template's file by its absolute path, so that it is found from other directories; else the name as it is.
    var absoluteTemplate: String { isFile ? absolutePath(chatTemplate) : chatTemplate }

    private var isFile: Bool { [".jinja", ".json"].contains { chatTemplate.hasSuffix($0) } }
}

/// What shapes a store's samples besides its dataset and its target: options of `Preprocess build`.
///
/// A store's manifest keeps them, each by its option's name, so that whoever finds the store can print the command that
/// builds it. An option that is added here is kept, compared and printed by that alone.
public struct BuildSettings: Options {
    /// How long samples may be: the longest context of any model, and some more.
    public static let lengths = 1...1 << 24
    /// The largest record, in MiB, that is accepted.
    public static let recordSizes = 1...1024

    public var template = ChatTemplateOptions()
    @Flag("Build even if the chat template fails check-template.") public var ignoreTemplateCheck
    @Option("The most tokens of a sample.", in: lengths) public var maxLength = 2048
    @Option("Longer samples are truncated, dropped, or split into several samples.")
    public var overflow = Overflow.truncate
    @Option("Texts of tokens that are never supervised.", value: "TOKEN...") public var ignoreToken: [String] = []
    @Option(
        "Sizes of the draft vocabularies whose mappings the store gets (default 32000, or the target's if that is less).",
        value: "INT...", in: ModelConfiguration.vocabSizes)
    public var draftVocabSize: [Int] = []
    @Flag("Records have a string 'text' that is in the model's own format already.") public var isPreformatted
    @Option(
        "Names of roles that the data have besides the known ones, and the role that each is: system, user, assistant, "
            + "tool or tool_call.", value: "NAME=ROLE...")
    public var roleMap: [String] = []
    @Option(
        "Build prompts for Trainer regenerate instead of samples: conversations without their answers, of which all, the "
            + "last or the first are to be made.")
    public var prompts: PromptTurns?
    @Option(
        "What becomes of the thoughts in the answers to --prompts: saved, stripped from what is written and from the history "
            + "of further answers, or switched off by the template's own variable.")
    public var reasoning = AnswerReasoning.save
    @Flag("Only the assistant's last turn is supervised.") public var trainOnlyLastTurn
    @Flag("Each of the assistant's turns is a sample of its own, with all messages before it.") public var rowPerTurn
    @Option(
        "The fewest supervised tokens of a sample that is kept; 0 also keeps samples without an answer.",
        in: 0...lengths.upperBound)
    public var minLossTokens = 1
    @Flag("Build also where almost no or almost all tokens are supervised, as for continued pre-training.")
    public var anySupervisedShare
    @Option(
        "The largest record, in MiB; memory grows with it, and a larger one is rejected.", value: "MIB",
        in: recordSizes)
    public var maxRecordSize = 5

    public init() {}

    public func validate() throws(OptionsError) {
        if minLossTokens > maxLength {
            throw .rule("--min-loss-tokens is \(minLossTokens), should be at most --max-length, \(maxLength)")
        }
        if prompts != nil && (rowPerTurn || isPreformatted || trainOnlyLastTurn || overflow == .split) {
            throw .rule(
                "--prompts can't be combined with --row-per-turn, --is-preformatted, --train-only-last-turn or "
                    + "--overflow split")
        }
        if rowPerTurn && isPreformatted { throw .rule("--row-per-turn can't be combined with --is-preformatted") }
    }

    /// Options whose spelling is not compared: of templates and ignored tokens it has digests and ids,
    /// and the others decide whether there is a store, and what is derived from it.
    static let uncompared: Set<String> = Set(
        ChatTemplateOptions.names + [
            "--ignore-template-check", "--ignore-token", "--draft-vocab-size", "--any-supervised-share",
        ])

    /// What a store with these settings is for.
    public var contents: StoreLocation.Contents { prompts == nil ? .samples : .prompts }

    /// The settings that must be equal for a store to be used.
    var compared: [OptionSetting] { given.filter { !Self.uncompared.contains($0.name) } }
}

extension BuildSettings: Equatable {
    public static func == (a: BuildSettings, b: BuildSettings) -> Bool { a.given == b.given }
}

// MARK: - In the manifest

/// The settings of a store as its manifest has them: those that this program knows, and others that a newer one wrote.
public struct StoredSettings: Equatable, Sendable {
    public var known: BuildSettings
    /// What this program doesn't know; it is compared and printed all the same.
    public var others: [OptionSetting] = []

    public init(_ settings: BuildSettings) {
        let template = OptionSetting(name: "--chat-template", values: [settings.template.absoluteTemplate])
        let words = settings.changed.filter { $0.name != template.name } + [template]
        known = (try? BuildSettings.parse(words.flatMap(\.words))) ?? settings
    }

    /// Every setting that has a value.
    public var given: [OptionSetting] { known.given + others }

    var compared: [OptionSetting] { known.compared + others }

    /// The words of a command line that builds with the same settings, but for those that `overrides` has otherwise.
    public func words(overriding overrides: [OptionSetting] = []) -> [String] {
        let kept = (known.changed + others).filter { setting in !overrides.contains { $0.name == setting.name } }
        return (kept + overrides).flatMap(\.words)
    }

    /// Which of the wanted settings the store wasn't built with, in a sentence; nil if it was.
    public func mismatch(with wanted: [OptionSetting]) -> String? {
        let built = given
        for setting in wanted {
            guard let own = built.first(where: { $0.name == setting.name }), own != setting else { continue }
            if setting.name == "--chat-template", Self.isSameFile(own.shown, setting.shown) { continue }
            return "was built with \(own.name) \(own.shown), not \(setting.shown)"
        }
        return nil
    }

    /// Whether two paths name the same contents.
    private static func isSameFile(_ path: String, _ other: String) -> Bool {
        guard fileExists(path), let contents = try? readFile(path) else { return false }
        return contents == (try? readFile(other))
    }

    /// The command that builds a store with what one was built with, but for what `overrides` wants otherwise.
    public static func command(
        dataPaths: [String], targetModelPath: String, cacheDir: String, _ known: StoredSettings?,
        overriding overrides: [OptionSetting]
    ) -> String {
        let words =
            ["Preprocess", "build", "--train-data-path"] + dataPaths + [
                "--target-model-path", targetModelPath, "--cache-dir", cacheDir,
            ] + (known?.words(overriding: overrides) ?? overrides.flatMap(\.words))
        return words.map(shellQuoted).joined(separator: " ")
    }

    /// An object with a member for each setting that has a value: a string, an array of strings, or true.
    var json: JSONText {
        .object(
            given.map { setting in
                let name = String(setting.name.dropFirst(2))
                guard let values = setting.values else { return (name, .bool(true)) }
                let texts = values.map(JSONText.string)
                return (name, texts.count == 1 ? texts[0] : .array(texts))
            })
    }

    /// - Throws: `JSONError` that names the setting, if a value isn't one of its option's.
    init(_ node: JSONNode) throws(JSONError) {
        let names = Set(BuildSettings.names)
        var words: [String] = []
        for (key, value) in try node.asObject().members where value.value.bool != false {
            let setting = OptionSetting(name: "--\(key)", values: try Self.values(value))
            if names.contains(setting.name) { words += setting.words } else { others.append(setting) }
        }
        do {
            known = try BuildSettings.parse(words)
        } catch {
            throw node.error("can't be read: \(error)")
        }
    }

    private static func values(_ node: JSONNode) throws(JSONError) -> [String]? {
        switch node.value.kind {
        case .boolean: nil
        case .array: try node.elements.map { element throws(JSONError) in try element.asString() }
        default: [try node.asString()]
        }
    }
}

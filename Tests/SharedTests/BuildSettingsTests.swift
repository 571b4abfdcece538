import Testing

@testable import Shared

/// Settings go from a command line to a store's manifest and back to a command line, every one of them.
struct BuildSettingsTests {
    /// A value other than the default for each option, by the kind that it is declared to be.
    private static let values: [String: [String]] = [
        "--chat-template": ["qwen"], "--date-string": ["1 Jan 2025"], "--chat-template-kwargs": [#"{"a": "b c"}"#],
        "--max-length": ["4096"], "--overflow": ["split"], "--ignore-token": ["<a>", "-h", "--b", "c d"],
        "--draft-vocab-size": ["8000"], "--min-loss-tokens": ["2"], "--max-record-size": ["7"], "--prompts": ["last"],
        "--reasoning": ["off"],
        "--role-map": ["bot=assistant", "me=user"],
    ]

    private func settings(_ names: [String]) throws -> BuildSettings {
        let words = names.flatMap { name in
            OptionSetting(name: name, values: Self.values[name]).words
        }
        return try BuildSettings.parse(words)
    }

    private func stored(_ settings: BuildSettings) throws -> StoredSettings {
        let text = StoredSettings(settings).json.compact
        return try StoredSettings(JSONFile(contents: Array(text.utf8), path: "manifest").root)
    }

    /// An option that is added to the settings is in this test by that alone: a switch, or it needs a value above.
    @Test(arguments: BuildSettings.names)
    func eachSettingIsKeptAndPrinted(name: String) throws {
        let declared = try #require(BuildSettings.declared.first { $0.name == name })
        #expect(declared.takesValue == (Self.values[name] != nil), "\(name) needs a value in this test")
        let settings = try settings([name])
        let kept = try stored(settings)
        #expect(settings != BuildSettings() && kept.known == settings && kept.others.isEmpty)
        #expect(try BuildSettings.parse(kept.words()) == settings)
        let given = try #require(settings.given.first { $0.name == name })
        #expect(kept.words() == given.words)
    }

    @Test func allTogetherAreKeptAndPrinted() throws {
        let conflicting = ["--is-preformatted", "--prompts"]
        let settings = try settings(BuildSettings.names.filter { !conflicting.contains($0) })
        let kept = try stored(settings)
        #expect(kept.known == settings)
        #expect(try BuildSettings.parse(kept.words()) == settings)
        #expect(
            BuildSettings.names.allSatisfy {
                conflicting.contains($0) || kept.words().joined(separator: " ").contains($0)
            })
    }

    @Test func defaultsNeedNoWords() throws {
        #expect(try stored(BuildSettings()).words().isEmpty)
        #expect(try stored(BuildSettings()).known == BuildSettings())
    }

    /// Spelling doesn't matter where a digest tells what was meant; everything that shapes samples does.
    @Test(arguments: BuildSettings.names)
    func aSettingThatShapesSamplesIsCompared(name: String) throws {
        let uncompared: Set = [
            "--chat-template", "--date-string", "--chat-template-kwargs", "--ignore-token", "--draft-vocab-size",
            "--ignore-template-check", "--any-supervised-share",
        ]
        func manifest(_ settings: BuildSettings) -> StoreManifest {
            StoreManifest(files: [], settings: settings, vocabSize: 9, specialTokens: [])
        }
        let changes = manifest(BuildSettings()).changes(to: manifest(try settings([name])))
        #expect(changes.isEmpty == uncompared.contains(name), "\(changes)")
        #expect(changes.allSatisfy { $0.hasPrefix("\(name): ") })
    }

    @Test func settingsOfANewerProgramAreKeptComparedAndPrinted() throws {
        let text =
            #"{"max-length": "9", "new-switch": true, "off": false, "new-list": ["a", "--b"], "overflow": "drop"}"#
        let kept = try StoredSettings(JSONFile(contents: Array(text.utf8), path: "m").root)
        #expect(kept.known.maxLength == 9 && kept.known.overflow == .drop)
        #expect(
            kept.words() == [
                "--max-length", "9", "--overflow", "drop", "--new-switch", "--new-list=a", "--new-list=--b",
            ])
        var (old, new) = (
            StoreManifest(files: [], vocabSize: 9, specialTokens: []),
            StoreManifest(files: [], vocabSize: 9, specialTokens: [])
        )
        new.settings = kept
        old.settings = StoredSettings(kept.known)
        #expect(old.changes(to: new) == ["--new-switch: off -> on", "--new-list: none -> a --b"])
    }

    @Test(arguments: [
        (#"{"max-length": "0"}"#, "max-length is 0, should be 1 to"),
        (#"{"max-length": 5}"#, "'max-length' is an integer, should be a string"),
        (#"{"overflow": "none"}"#, "truncate|drop|split"),
        (#"{"max-length": ["1", 2]}"#, "'max-length.1' is an integer"), ("[]", "should be an object"),
        (#"{"max-length": {}}"#, "is an object"), (#"{"max-length": true}"#, "needs a value"),
    ])
    func damagedSettingsAreRefused(text: String, message: String) throws {
        let file = try JSONFile(contents: Array(text.utf8), path: "manifest")
        let error = #expect(throws: JSONError.self) { try StoredSettings(file.root) }
        #expect("\(try #require(error))".contains(message), "\(error as Any)")
    }

    @Test func whoeverWantsOtherSettingsIsTold() throws {
        let kept = StoredSettings(try BuildSettings.parse(["--chat-template", "qwen", "--row-per-turn"]))
        func wanted(_ name: String, _ value: String) -> [OptionSetting] { [OptionSetting(name: name, values: [value])] }
        #expect(kept.mismatch(with: wanted("--max-length", "2048")) == nil)
        #expect(kept.mismatch(with: wanted("--chat-template", "qwen")) == nil)
        #expect(kept.mismatch(with: wanted("--max-length", "9")) == "was built with --max-length 2048, not 9")
        let command = StoredSettings.command(
            dataPaths: ["a b.jsonl"], targetModelPath: "m", cacheDir: "c", kept, overriding: wanted("--max-length", "9")
        )
        #expect(
            command == "Preprocess build --train-data-path 'a b.jsonl' --target-model-path m --cache-dir c "
                + "--chat-template qwen --row-per-turn --max-length 9")
    }
}

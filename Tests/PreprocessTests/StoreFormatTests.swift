import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// The documented format, read by a program that shares nothing with this one.
struct StoreFormatTests {
    private static let python = ProcessInfo.processInfo.environment["EYRIE_PYTHON"] ?? "python3"

    private static func run(_ arguments: [String]) throws -> (code: Int32, output: Data) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [python] + arguments
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    private static var hasPackages: Bool { (try? run(["-c", "import lmdb, zstandard"]).code) == 0 }

    @Test(
        .enabled(
            if: hasPackages,
            "needs Python with the packages lmdb and zstandard; EYRIE_PYTHON names the interpreter"))
    func isReadByTheExampleInPython() throws {
        let scratch = try ScratchDirectory()
        let rows = [
            #"{"id": "a", "input_ids": [9, 8, 7], "loss_mask": [0, 1, 1], "attention_mask": [1, 1, 0]}"#,
            #"{"id": "b", "input_ids": [9, 8, 7], "loss_mask": [1, 1, 0], "attention_mask": [0, 1, 1]}"#,
        ]
        let data = try scratch.write("data.jsonl", (rows + conversationLines(300)).joined(separator: "\n"))
        let path = scratch.file("store.mdb")
        let writer = try SampleStoreWriter(path: path, manifest: byteManifest([data]))
        _ = try bytePipeline([data]).run(into: writer, draftVocabSizes: [40])
        let store = try SampleStore(reading: path)
        let script = Fixtures.folder.deletingLastPathComponent().appending(path: "Examples/read_store.py")
            .path(percentEncoded: false)

        let samples = try Self.run([script, path])
        let lines = samples.output.split(separator: UInt8(ascii: "\n"))
        #expect(samples.code == 0 && lines.count == store.count)
        for (index, line) in lines.enumerated() {
            let root = try JSONFile(contents: Array(line), path: "line").root
            let sample = try store.sample(at: index)
            #expect(try root.required("input_ids").elements.map { try $0.asInt() } == sample.inputIDs.map(Int.init))
            #expect(
                try root.required("loss_mask").elements.map { try $0.asInt() } == sample.lossMask.map { $0 ? 1 : 0 })
            #expect(
                try root.required("attention_mask").elements.map { try $0.asInt() }
                    == sample.inputIDs.indices.map { sample.attended.contains($0) ? 1 : 0 })
            #expect(try root.string("id") == String(decoding: store.source(of: index).id, as: UTF8.self))
        }
        let counts = try JSONFile(contents: Array(Self.run([script, path, "--counts"]).output), path: "counts").root
        #expect(try counts.elements.map { UInt64(try $0.asInt()) } == store.tokenCounts())
        // One that the store has, and one that the reader derives by itself.
        for size in [40, 41] {
            let output = try Self.run([script, path, "--mapping", "\(size)"]).output
            let root = try JSONFile(contents: Array(output), path: "mapping").root
            let mapping = try store.vocabularyMapping(draftVocabSize: size)
            #expect(try root.required("d2t").elements.map { Int64(try $0.asInt()) } == mapping.draftToTargetOffsets)
            #expect(try root.required("t2d").elements.map { try $0.asInt() == 1 } == mapping.targetHasDraft)
        }
    }

    // MARK: - The document

    private static let document: String = {
        let path = Fixtures.folder.deletingLastPathComponent().appending(path: "Documentation/StoreFormat.md")
        // Line ends as spaces: where a line ends says nothing.
        return ((try? String(contentsOf: path, encoding: .utf8)) ?? "").split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
    }()

    private func hex(_ bytes: [UInt8]) -> String {
        "`" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ") + "`"
    }

    @Test func theDocumentHasTheVersionOfTheCode() {
        let version = StoreManifest.formatVersion
        #expect(Self.document.hasPrefix("# The store's format, version \(version) "))
        #expect(Self.document.contains("``` format \(version) state ") && Self.document.contains("| \(version) | "))
    }

    @Test func theDocumentHasEveryNameThatAStoreHas() throws {
        let scratch = try ScratchDirectory()
        let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)
        let data = try scratch.write("data.jsonl", conversationLines(20).joined(separator: "\n") + "\n")
        let cache = scratch.file("cache")
        let end = try ProgramRun(
            "Preprocess",
            ["build", "--train-data-path", data, "--target-model-path", model, "--cache-dir", cache]
                + ["--chat-template", "qwen", "--draft-vocab-size", "100", "200"]
        ).finish()
        try #require(end.code == 0, "\(end.errors)")
        let store = try SampleStore(reading: StoreLocation.path(cacheDir: cache, dataPaths: [data]))
        #expect(store.manifest.draftVocabSizes == [100, 200])
        let root = try JSONFile(contents: Array(store.manifest.json.compact.utf8), path: "manifest").root
        let layout = try root.required("layout")
        let names =
            try root.members.map(\.key) + layout.members.map(\.key) + root.required("counts").members.map(\.key)
            + root.required("files").elements.flatMap(\.members).map(\.key)
        for name in names {
            #expect(Self.document.range(of: "\\b\(name)\\b", options: .regularExpression) != nil, "\(name)")
        }
        for name in BuildSettings.names.map({ $0.dropFirst(2) }) + store.manifest.derived.map({ $0.name[...] }) {
            #expect(Self.document.contains("| `\(name)` |"), "\(name)")
        }
        for kind in SpecialToken.Kind.allCases.map(\.rawValue) {
            #expect(Self.document.contains("`\(kind)`"), "\(kind)")
        }
        for member in layout.members {
            #expect(try Self.document.contains("`\(member.key)` \(member.value.asInt())"), "\(member.key)")
        }
        for kind in CacheDirectory.Kind.allCases { #expect(Self.document.contains("`KEY\(kind.rawValue)`"), "\(kind)") }
        #expect(Self.document.contains("`KEY\(CacheDirectory.ranksSuffix)RUN`"))
        #expect(Self.document.contains("or with \(SampleStoreWriter.blockNotes) notes"))
        #expect(Self.document.contains("among its first \(SampleStoreWriter.rankRecords) records"))
    }

    @Test func theDocumentsExamplesAreWhatTheCodeWrites() throws {
        let counts: [UInt64] = [0, 5, 3, 0, 3, 9, 0, 3, 0, 1]
        let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: 5, always: [8, 9])
        func list<T>(_ values: [T]) -> String { values.map { "\($0)" }.joined(separator: " ") }
        #expect(
            Self.document.contains(
                "counts \(list(counts)), special tokens 8 and 9, D = 5: the ids are \(list(mapping.draftToTarget)), `d2t` is "
                    + "\(list(mapping.draftToTargetOffsets)), and the record's content is \(hex(mapping.encoded))."))
        var group = SampleGroupWriter()
        let ranks = TokenRanks(counts: [Int](repeating: 0, count: 1000))
        let sample = Sample(inputIDs: [0, 1, 2, 300], lossMask: [false, false, true, false], trailingPadding: 1)
        group.add(sample, SampleSource(file: 0, line: 7, id: Array("a".utf8)), ranks: ranks)
        #expect(Self.document.contains(hex(group.finish(number: 0, firstSample: 0))))
        #expect(Self.document.contains("`printf %s PATH | xxh128sum`"))
    }
}

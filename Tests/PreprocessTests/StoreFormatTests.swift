import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

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
        let data = try scratch.write("data.jsonl", conversationLines(300).joined(separator: "\n"))
        let path = scratch.file("store.mdb")
        try buildByteStore(path, [data])
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
            #expect(try root.string("id") == String(decoding: store.source(of: index).id, as: UTF8.self))
        }
        let counts = try JSONFile(contents: Array(Self.run([script, path, "--counts"]).output), path: "counts").root
        #expect(try counts.elements.map { UInt64(try $0.asInt()) } == store.tokenCounts())
    }
}

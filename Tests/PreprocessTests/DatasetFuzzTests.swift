import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Damaged datasets, packed or not: every record is found or reported as broken, in the order of the file, and nothing
/// hangs.
struct DatasetFuzzTests {
    private static let forms = ["lines", "array", "indented", "gzip", "zstd"]

    private static func content(_ form: String) -> [UInt8] {
        let lines = conversationLines(30)
        switch form {
        case "array": return Array(("[" + lines.joined(separator: ", ") + "]").utf8)
        case "indented": return Array(("[\n  " + lines.joined(separator: ",\n  ") + "\n]\n").utf8)
        case "gzip": return Packed.gzip(Array(lines.joined(separator: "\n").utf8))
        case "zstd": return Packed.zstd(Array(lines.joined(separator: "\n").utf8))
        default: return Array((lines.joined(separator: "\n") + "\n").utf8)
        }
    }

    @Test(arguments: forms) func recordsAreFoundOrSaidToBeBroken(form: String) throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("data")
        let content = Self.content(form)
        let parser = ConversationParser(isPreformatted: false)
        try Fuzzing("dataset-\(form)", iterations: 300).run { generator in
            let damaged = Mutator(words: ["{\"id\":", "}, {\"id\":", "\n", "]"]).mutate(content, using: &generator)
            try Data(damaged).write(to: URL(filePath: path))
            var reader = DatasetReader([path], blockSize: Int.random(in: 1...5000, using: &generator))
            var end = 0
            do {
                while let batch = try reader.next() {
                    for record in batch.records {
                        #expect(record.offset >= end && record.line >= 1)
                        end = record.offset
                        guard record.problem == nil else { continue }
                        batch.bytes.withUnsafeBytes { bytes in
                            _ = try? parser.parse(padded: UnsafeRawBufferPointer(rebasing: bytes[record.range]))
                        }
                    }
                }
            } catch let error as PackedFileError {
                // Damage may be of the window's size, too.
                let messages = ["data: packed data near byte ", "data: was packed with a window of more than 128 MiB"]
                #expect(messages.contains { "\(error)".contains($0) }, "\(error)")
            } catch let error as DatasetError {
                #expect("\(error)".contains("data: is "))
            }
        }
    }

    /// Whatever is damaged, what is found doesn't depend on the blocks in which a file is read, and nothing is passed over
    /// but what stands between records.
    @Test(arguments: ["lines", "array", "indented"]) func nothingIsPassedOverWhateverTheBlocks(form: String) throws {
        let content = Self.content(form)
        let mutator = Mutator(words: [
            "{\"id\":", "}, {\"id\":", "\n", "]", "}", "[", "\"", "\\", ", {\"messages\": []}",
        ])
        let separators = Array(" \t\r\n,[]}\u{1E}\u{B}\u{C}".utf8)
        try Fuzzing("scanner-\(form)", iterations: 150).run { generator in
            let damaged = mutator.mutate(content, using: &generator)
            // An envelope's other keys are passed over too.
            let first = damaged.firstIndex { !isJSONSpace($0) } ?? 0
            let envelope = damaged.withUnsafeBytes {
                Envelope.find(in: UnsafeRawBufferPointer(rebasing: $0[first...]), isAtEnd: true)
            }
            guard damaged.dropFirst(first).first != UInt8(ascii: "{") || envelope == .none else { return }
            let whole = RecordScannerTests.scan(damaged, blockSize: 1 << 20)
            let blockSize = Int.random(in: 1...300, using: &generator)
            #expect(RecordScannerTests.scan(damaged, blockSize: blockSize) == whole)
            var end = 0
            for record in whole {
                #expect(record.offset >= end && damaged[end..<record.offset].allSatisfy(separators.contains))
                #expect(record.line == 1 + damaged[..<record.offset].count { $0 == 0x0A })
                end = record.offset + record.count
            }
            #expect(damaged[end...].allSatisfy(separators.contains))
        }
    }
}

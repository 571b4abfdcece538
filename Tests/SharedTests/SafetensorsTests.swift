import Foundation
import Testing

@testable import Shared

struct SafetensorsTests {
    private func withFile<R>(_ body: (String) throws -> R) throws -> R {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func write(_ path: String) throws {
        var writer = try SafetensorsWriter(
            path,
            [
                .init(name: "w", type: .float32, shape: [3, 4]), .init(name: "h", type: .bfloat16, shape: [5]),
                .init(name: "d2t", type: .int64, shape: [2]), .init(name: "t2d", type: .bool, shape: [3]),
            ])
        try writer.append((0..<12).map { Float($0) / 2 })
        let values: [Float] = [1, -2.5, 1e30, 0.1, .nan]
        try values.withUnsafeBufferPointer { try writer.append($0) }
        try writer.append([Int64(-1), 7])
        try writer.append([UInt8(1), 0, 1])
        try writer.finish()
    }

    /// Writes a header as it is, and as many zeros.
    private func write(_ path: String, header: String, size: Int) throws {
        let length = withUnsafeBytes(of: UInt64(header.utf8.count)) { Array($0) }
        try writeFile(path, length + Array(header.utf8) + [UInt8](repeating: 0, count: size))
    }

    @Test func whatIsWrittenIsRead() throws {
        try withFile { path in
            try write(path)
            let file = try SafetensorsFile(path)
            #expect(file.metadata == ["format": "pt"])
            #expect(try file.tensor("w").floats() == (0..<12).map { Float($0) / 2 })
            let halves = try file.tensor("h").floats()
            #expect(halves[0] == 1 && halves[1] == -2.5 && abs(halves[3] - 0.1) < 0.001 && halves[4].isNaN)
            #expect(try file.tensor("d2t").integers() == [-1, 7] && file.tensor("t2d").integers() == [1, 0, 1])
            var part = [Float](repeating: 9, count: 6)
            try part.withUnsafeMutableBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                try file.tensor("w").copy(rows: 1..<3, columns: 2..<4, into: start, stride: 3)
            }
            #expect(part == [3, 3.5, 9, 5, 5.5, 9])
        }
    }

    @Test func float16IsRead() throws {
        try withFile { path in
            var writer = try SafetensorsWriter(path, [.init(name: "x", type: .float16, shape: [3])])
            try writer.append([Float16(0.5), -3, 65504])
            try writer.finish()
            #expect(try SafetensorsFile(path).tensor("x").floats() == [0.5, -3, 65504])
        }
    }

    @Test func everyTruncationIsAnErrorThatNamesTheFile() throws {
        try withFile { path in
            try write(path)
            let bytes = try readFile(path)
            for count in 0..<bytes.count {
                try writeFile(path, bytes[..<count])
                let error = #expect(throws: (any Error).self) { try SafetensorsFile(path) }
                #expect("\(try #require(error))".contains(path))
            }
        }
    }

    @Test(arguments: [
        #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#,
        #"{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
        #"{"w":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}"#,
        #"{"w":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}}"#,
        #"{"w":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}"#,
        #"{"w":{"shape":[2],"data_offsets":[0,8]}}"#, #"{"w":3}"#, "[]", "nonsense",
        #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
    ])
    func aLyingHeaderIsRefused(header: String) throws {
        try withFile { path in
            try write(path, header: header, size: 8)
            #expect(throws: (any Error).self) { try SafetensorsFile(path).tensor("w").floats() }
        }
    }

    /// As Hugging Face's library refuses them: the tensors have each byte after the header, and each once.
    @Test(arguments: [
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12, "'b' begins at byte 8, should begin at 4: no tensor has the bytes between"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8, "'a' begins at byte 4, should begin at 0"
        ),
        (
            #"{"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            12, "'b' begins at byte 4, should begin at 8: it overlaps the tensor before"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4, "'b' begins at byte 0, should begin at 4"
        ),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 7, "has 7 bytes after its header, should have 4"),
        ("{}", 3, "has 3 bytes after its header, should have 0"),
    ])
    func bytesThatNoTensorHasOrTwoHaveAreRefused(header: String, size: Int, message: String) throws {
        try withFile { path in
            try write(path, header: header, size: size)
            let error = #expect(throws: WeightsError.self) { try SafetensorsFile(path) }
            let text = "\(try #require(error))"
            #expect(text.contains(path) && text.contains(message), "\(text)")
        }
    }

    /// A tensor may have no numbers, wherever it stands, and tensors may be named in any order.
    @Test func emptyTensorsAndAnyOrderAreRead() throws {
        try withFile { path in
            let header =
                #"{"c":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},"b":{"dtype":"F32","shape":[1],"#
                + #""data_offsets":[4,8]},"e":{"dtype":"F32","shape":[2,0],"data_offsets":[4,4]},"#
                + #""a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#
            try write(path, header: header, size: 8)
            let file = try SafetensorsFile(path)
            #expect(file.tensors.count == 4)
            #expect(try file.tensor("e").floats().isEmpty)
        }
    }

    @Test func bfloat16RoundsToNearestEven() {
        #expect(BFloat16.bits(1) == 0x3F80 && BFloat16.bits(1.00390625) == 0x3F80)
        #expect(BFloat16.bits(1.01171875) == 0x3F82 && BFloat16.float(0xC020) == -2.5)
        #expect(BFloat16.float(BFloat16.bits(.nan)).isNaN && BFloat16.bits(.infinity) == 0x7F80)
        #expect(BFloat16.bits(.greatestFiniteMagnitude) == 0x7F80)
    }
}

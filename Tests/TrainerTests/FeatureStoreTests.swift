import Foundation
import TestSupport
import Testing

@testable import Shared
@testable import Trainer

/// Matrices come back as they were rounded, or not at all.
struct FeatureStoreTests {
    private typealias Part = FeatureRecord.Part
    private static let key = Digest(of: "a sequence")

    /// The file of a store, in a directory that is removed afterwards.
    private func withFile(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "eyrie-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory.appending(path: "target.features").path)
    }

    /// Two matrices of 5 rows, of 7 and of 3 numbers that stand 12 apart.
    private static let numbers: [Float] = {
        var numbers = (0..<60).map { Float($0 - 20) * 1.234_567 * ($0.isMultiple(of: 3) ? 1e-20 : 1e3) }
        (numbers[1], numbers[2], numbers[3], numbers[8]) = (-0.0, .infinity, .leastNonzeroMagnitude, .nan)
        return numbers
    }()

    private static func record(_ type: FeatureRecord.NumberType) -> [UInt8] {
        withParts(numbers) { FeatureRecord.encode($0, type) }.result
    }

    /// Runs `body` on the two matrices within `numbers`, and returns the numbers as they are then.
    private static func withParts<R>(
        _ numbers: [Float], rows: Int = 5, columns: [Int] = [7, 3], _ body: ([Part]) throws -> R
    ) rethrows -> (result: R, numbers: [Float]) {
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: 60)
        defer { buffer.deallocate() }
        _ = buffer.initialize(from: numbers)
        guard let start = buffer.baseAddress else { preconditionFailure("no memory") }
        let parts = columns.enumerated().map { Part(start: start + 7 * $0, rows: rows, columns: $1, stride: 12) }
        return (try body(parts), Array(buffer))
    }

    private static func read(
        _ store: FeatureStore, _ type: FeatureRecord.NumberType = .bfloat16, rows: Int = 5, columns: [Int] = [7, 3]
    ) throws -> [Float]? {
        let zeros = [Float](repeating: 0, count: 60)
        let (isThere, numbers) = try withParts(zeros, rows: rows, columns: columns) { parts in
            try store.read(key, type, into: parts)
        }
        return isThere ? numbers : nil
    }

    @Test(arguments: FeatureRecord.NumberType.allCases)
    func numbersComeBackAsTheyAreRounded(type: FeatureRecord.NumberType) throws {
        try withFile { path in
            let store = try FeatureStore(path, limit: 1 << 22)
            #expect(try Self.read(store, type) == nil)
            try store.write([(Self.key, Self.record(type))])
            let found = try #require(try Self.read(store, type))
            for (index, number) in Self.numbers.enumerated() {
                let kept = type == .float32 ? number : BFloat16.float(BFloat16.bits(number))
                // The last two of each row belong to neither matrix.
                #expect(found[index].bitPattern == (index % 12 < 10 ? kept : 0).bitPattern, "number \(index)")
            }
        }
    }

    /// Rows of three blocks, written and read in any order and by several threads.
    @Test(arguments: FeatureRecord.NumberType.allCases)
    func blocksAreReadInAnyOrder(type: FeatureRecord.NumberType) throws {
        let (rows, columns) = (200, 1_500)
        let count = rows * columns
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: 2 * count)
        defer { buffer.deallocate() }
        for i in 0..<count { buffer[i] = Float(i * 7_919 % 1_021 - 510) * (i.isMultiple(of: 3) ? 1e-5 : 0.37) }
        let start = try #require(buffer.baseAddress)
        func parts(_ first: Int) -> [Part] {
            [(0, 1_000), (1_000, 500)].map {
                Part(start: start + first + $0.0, rows: rows, columns: $0.1, stride: columns)
            }
        }
        let record = FeatureRecord.encode(parts(0), type)
        let orders: [(Int, (Int) -> Void) -> Void] = [
            { (0..<$0).forEach($1) }, { (0..<$0).reversed().forEach($1) },
            { count, body in
                withoutActuallyEscaping(body) { body in
                    nonisolated(unsafe) let body = body
                    DispatchQueue.concurrentPerform(iterations: count) { body($0) }
                }
            },
        ]
        for order in orders {
            for i in count..<2 * count { buffer[i] = .nan }
            var blocks = 0
            try record.withUnsafeBytes { bytes in
                try FeatureRecord.decode(bytes, type, into: parts(count)) { count, body in
                    blocks = count
                    order(count, body)
                }
            }
            #expect(blocks == 3)
            let isSame = (0..<count).allSatisfy {
                buffer[count + $0] == (type == .float32 ? buffer[$0] : BFloat16.float(BFloat16.bits(buffer[$0])))
            }
            #expect(isSame)
        }
    }

    @Test func matricesWithoutRowsAreARecordToo() throws {
        try withFile { path in
            let store = try FeatureStore(path, limit: 1 << 22)
            let record = Self.withParts(Self.numbers, rows: 0) { FeatureRecord.encode($0, .float32) }.result
            try store.write([(Self.key, record)])
            #expect(try Self.read(store, .float32, rows: 0) != nil)
        }
    }

    @Test func aRecordOfAnotherShapeOrTypeIsRefused() throws {
        try withFile { path in
            let store = try FeatureStore(path, limit: 1 << 22)
            try store.write([(Self.key, Self.record(.bfloat16))])
            #expect(throws: StoreError(path, "record \(Self.key) is damaged: its rows is 5, should be 4")) {
                try Self.read(store, rows: 4)
            }
            #expect(throws: StoreError.self) { try Self.read(store, columns: [7, 4]) }
            #expect(throws: StoreError.self) { try Self.read(store, .float32) }
        }
    }

    @Test(arguments: FeatureRecord.NumberType.allCases)
    func everyDamagedByteIsFound(type: FeatureRecord.NumberType) throws {
        let record = Self.record(type)
        func refuses(_ bytes: [UInt8], _ what: String) {
            _ = Self.withParts(Self.numbers) { parts in
                bytes.withUnsafeBytes { bytes in
                    #expect(throws: DecodingFailure.self, "\(what)") {
                        try FeatureRecord.decode(bytes, type, into: parts)
                    }
                }
            }
        }
        for index in record.indices {
            var damaged = record
            damaged[index] ^= 0x10
            refuses(damaged, "byte \(index)")
            refuses(Array(record[..<index]), "the first \(index) bytes")
        }
        refuses(record + [0], "a byte more")
    }

    /// Records whose digest fits and whose contents don't: what a faulty writer would make.
    @Test(arguments: [
        ("format", [1, 2, 5, 10, 0] + [UInt8](repeating: 0, count: 50)),
        ("exponents", [2, 2, 5, 10, 3, 1, 2, 3] + [UInt8](repeating: 0, count: 50)),
        ("a number less", [2, 2, 5, 10, 3, 1, 2, 3] + [UInt8](repeating: 0, count: 49)), ("more", [2, 2, 5, 10, 90]),
        ("nothing", []),
    ])
    func aRecordThatSaysOtherThingsThanItsShapeIsRefused(name: String, body: [UInt8]) {
        let digest = Digest(of: body).low
        let record = body + (0..<8).map { UInt8(truncatingIfNeeded: digest >> (8 * UInt64($0))) }
        _ = Self.withParts(Self.numbers) { parts in
            record.withUnsafeBytes { bytes in
                #expect(throws: DecodingFailure.self) { try FeatureRecord.decode(bytes, .bfloat16, into: parts) }
            }
        }
    }

    @Test func aStoreThatReachesItsLimitKeepsWhatItHas() throws {
        try withFile { path in
            let record = Self.record(.bfloat16)
            do {
                let store = try FeatureStore(path, limit: 1 << 20)
                try store.write([(Self.key, record)])
                let error = #expect(throws: LMDBError.self) {
                    try store.write([(Digest(of: "long"), [UInt8](repeating: 1, count: 1 << 21))])
                }
                #expect(error?.isMapFull == true)
                #expect(try Self.read(store) != nil)
            }
            // A larger limit takes it, and a smaller one later takes nothing away.
            try FeatureStore(path, limit: 1 << 23).write([(Digest(of: "long"), [UInt8](repeating: 1, count: 1 << 21))])
            #expect(try Self.read(FeatureStore(path, limit: 1 << 20)) != nil)
        }
    }

    @Test func anotherWritersRecordIsSeen() throws {
        try withFile { path in
            let store = try FeatureStore(path, limit: 1 << 22)
            #expect(try Self.read(store) == nil)
            let done = DispatchGroup()
            DispatchQueue.global().async(group: done) {
                try? store.write([(Self.key, Self.record(.bfloat16))])
            }
            done.wait()
            #expect(try Self.read(store) != nil)
        }
    }

    @Test func aFileWhosePagesLeadNowhereIsRefusedByName() throws {
        try withFile { path in
            try FeatureStore(path, limit: 1 << 22).write(
                (0..<500).map { (Digest(of: "\($0)"), [UInt8](repeating: 7, count: 64)) })
            var bytes = try readFile(path)
            // The root of the records' tree in both first pages.
            for page in [0, 4096] { bytes[page + 16 + 72 + 40] ^= 0x7F }
            try writeFile(path, bytes)
            let error = #expect(throws: StoreError.self) { try FeatureStore(path, limit: 1 << 22) }
            #expect(error?.description.contains("remove it, and what was in it is computed again") == true)
            try writeFile(path, Array("no store at all".utf8))
            #expect(throws: LMDBError.self) { try FeatureStore(path, limit: 1 << 22) }
        }
    }

    @Test func aDirectoryThatIsntThereIsAnError() throws {
        #expect(throws: LMDBError.self) { try FeatureStore("/nowhere/target.features", limit: 1 << 22) }
        #expect(throws: FileError.self) { try networkFileSystem(at: "/nowhere") }
        #expect(try networkFileSystem(at: "/proc") == nil)
        #expect(networkFileSystems[0x6969] == "NFS")
    }
}

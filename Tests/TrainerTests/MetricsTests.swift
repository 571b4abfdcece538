import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

struct MetricsTests {
    private static let record = MetricsRecord(
        kind: .train, step: 3, values: [("loss", .number(1.5)), ("losses", .numbers([2, .nan])), ("steps", .int(1))])

    @Test func aRunThatGoesOnRemovesTheLinesOfLaterSteps() throws {
        let scratch = try ScratchDirectory()
        let file = try MetricsFile(directory: scratch.path, after: 0)
        for step in 1...4 { try file.append(MetricsRecord(kind: .train, step: step, values: [])) }
        try appendToFile(scratch.file(MetricsFile.name), Array(#"{"step":5,"los"#.utf8))
        _ = try MetricsFile(directory: scratch.path, after: 2)
        let text = try String(contentsOfFile: scratch.file(MetricsFile.name), encoding: .utf8)
        #expect(text == "{\"step\":1}\n{\"step\":2}\n")
    }

    @Test func linesHaveTheStepBesideTrainingsNamesAndAnObjectForOthers() {
        #expect(Self.record.json.compact == #"{"step":3,"loss":1.5,"losses":[2.0,null],"steps":1}"#)
        let heldOut = MetricsRecord(kind: .heldOut, step: 3, values: [("samples", .int(2))])
        #expect(heldOut.json.compact == #"{"step":3,"held_out":{"samples":2}}"#)
    }

    @Test func everyNameIsDefinedAndDocumented() throws {
        let page = try String(
            contentsOf: Fixtures.folder.deletingLastPathComponent().appending(path: "Documentation/Metrics.md"),
            encoding: .utf8)
        for metric in Metric.all {
            let unit = metric.unit.isEmpty ? "" : metric.unit + " "
            #expect(page.contains("| `\(metric.name)` | \(unit)| \(metric.meaning) |"), "\(metric.name)")
        }
        var statistics = TrainingStatistics(positions: 2)
        statistics.positions[0].aligned = 1
        let report = TrainingLoop.StepReport(
            step: 1, statistics: statistics, learningRate: 1, gradNorm: 1, tokens: 1,
            samples: [], badSamples: [], waited: .zero, targetCache: nil, isSkipped: false, nonFiniteSamples: [],
            isInterrupted: false)
        var interval = MetricsInterval(positions: 2, start: PhaseTimes())
        interval.add(report, maxGradNorm: 0.5)
        let profile = ProfileReport(PhaseTimes(), over: AbsentRanks())
        let values = interval.values(
            report, epoch: 0, targetCache: (0, 0), loss: { $0.weightedLoss([1, 0.8]) }, peakMemory: 0, profile: profile)
        for (name, _) in values { #expect(Metric.byName[name] != nil, "\(name) has no definition") }
        let heldOut = HeldOutEvaluation.Report(
            statistics: report.statistics, decoding: DecodingResult(draftLength: 2, prompts: 1), reference: nil,
            samples: 1, seconds: 1, decodingSeconds: 1)
        for (name, _) in heldOut.values { #expect(Metric.byName[name] != nil, "\(name) has no definition") }
        #expect(Metric.byName.count == Metric.all.count, "a name is there twice")
    }

    @Test func anIntervalCountsSkippedAndClippedSteps() throws {
        var interval = MetricsInterval(positions: 1, start: PhaseTimes())
        var last: TrainingLoop.StepReport?
        for (norm, isSkipped) in [(0.25, false), (2.0, false), (Double.infinity, true)] {
            let report = TrainingLoop.StepReport(
                step: 1, statistics: TrainingStatistics(positions: 1), learningRate: 1, gradNorm: norm, tokens: 10,
                samples: [], badSamples: [], waited: .zero,
                targetCache: TargetCache.Counts(found: 2, computed: isSkipped ? 1 : 0), isSkipped: isSkipped,
                nonFiniteSamples: [], isInterrupted: false)
            interval.add(report, maxGradNorm: 0.5)
            last = report
        }
        // 7 seconds, of which the target took 2; then a checkpoint for which it took 3 of 4.
        var (now, saving) = (PhaseTimes(), PhaseTimes())
        (now.elapsed, now[.target].seconds) = (11, 5)
        (saving.elapsed, saving[.target].seconds) = (4, 3)
        interval.leaveOut(saving, isSaving: true)
        let profile = ProfileReport(interval.times(until: now), over: AbsentRanks())
        let values = Dictionary(
            uniqueKeysWithValues: interval.values(
                try #require(last), epoch: 0, targetCache: interval.targetCache,
                loss: { $0.weightedLoss([1]) }, peakMemory: 0,
                profile: profile
            ).map { ($0.0, $0.1.compact) })
        #expect(values["steps"] == "3" && values["skipped_steps"] == "1" && values["clipped_steps"] == "1")
        #expect(values["largest_grad_norm"] == "2.0" && values["grad_norm"] == "null" && values["tokens"] == "30")
        #expect(values["target_cache_hits"] == "6" && values["target_cache_misses"] == "1")
        #expect(values["save_seconds"] == "4.0" && values["seconds"] == "7.0")
        #expect(values["phase_seconds"] == #"{"target":2.0,"other":5.0}"#)
    }
}

struct TensorBoardTests {
    /// RFC 3720, B.4, and the check value of the catalogue of CRCs.
    @Test(
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E), (Array("123456789".utf8), 0xE306_9283), ([], 0),
        ] as [([UInt8], UInt32)])
    func crcsAreThoseOfTheStandard(bytes: [UInt8], crc: UInt32) { #expect(CRC32C.of(bytes) == crc) }

    /// TensorFlow's own first record: `brain.Event:2`, without a time.
    @Test func aRecordIsFramedByLengthsAndMaskedCRCs() {
        let framed = TFRecord.framed(Array("abc".utf8))
        #expect(framed.count == 8 + 4 + 3 + 4)
        #expect(framed[..<8] == [3, 0, 0, 0, 0, 0, 0, 0] && framed[12..<15] == [97, 98, 99])
        // 0x364B3FB7 is the CRC of "abc".
        #expect(CRC32C.of(Array("abc".utf8)) == 0x364B_3FB7)
        let masked = (UInt32(0x364B_3FB7) >> 15 | UInt32(0x364B_3FB7) << 17) &+ 0xA282_EAD8
        #expect(Array(framed[15...]) == masked.littleEndianBytes)
    }

    @Test func messagesAreEncodedAsTheGuideSays() {
        var message = ProtobufMessage()
        message.int(150, field: 1)
        message.string("testing", field: 2)
        message.message(field: 3) { $0.int(150, field: 1) }
        message.float(1, field: 4)
        message.double(1, field: 5)
        message.int(-1, field: 6)
        #expect(
            message.bytes == [
                0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67, 0x1A, 0x03, 0x08, 0x96, 0x01,
                0x25, 0, 0, 0x80, 0x3F, 0x29, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                0xFF, 0xFF, 0xFF, 0x01,
            ])
    }

    @Test func listsAndObjectsAreScalarsOfTheirOwn() {
        let value = JSONText.object([("b", .numbers([1, 2])), ("c", .int(3)), ("d", .string("x")), ("e", .null)])
        let values = value.scalars("a")
        #expect(JSONText.object([("b", .numbers([1]))]).scalars().map(\.tag) == ["b/0"])
        #expect(values.map(\.tag) == ["a/b/0", "a/b/1", "a/c"] && values.map(\.value) == [1, 2, 3])
    }

    @Test func aFileIsWholeRecordsAndAResumedRunBeginsAnother() throws {
        let scratch = try ScratchDirectory()
        for start in [0, 2] {
            let file = try EventFile(directory: scratch.path, after: start)
            try file.append(MetricsRecord(kind: .train, step: start + 1, values: [("loss", .number(0.5))]))
            let records = try unframed(readFile(file.path))
            #expect(records.count == 3)
            #expect(String(decoding: records[0], as: UTF8.self).contains("brain.Event:2"))
            // Field 2, the step; field 7, a session log with field 1, its status, at START.
            #expect(Array(records[1].suffix(6)) == [0x10, UInt8(start + 1), 0x3A, 2, 8, 1])
            #expect(String(decoding: records[2], as: UTF8.self).contains("train/loss"))
        }
        #expect(try listDirectory(scratch.path).count == 2)
    }

    private func unframed(_ bytes: [UInt8]) throws -> [[UInt8]] {
        var (records, rest) = ([[UInt8]](), bytes[...])
        while let length = rest.first {
            let record = Array(rest.dropFirst(12).prefix(Int(length)))
            try #require(TFRecord.framed(record) == Array(rest.prefix(16 + Int(length))))
            records.append(record)
            rest = rest.dropFirst(16 + Int(length))
        }
        return records
    }
}

import Shared

/// Records as one rank hands them to another; not a part of stores.
extension SourceRecord {
    static func encode(_ records: [SourceRecord], to writer: inout ByteWriter) {
        writer.varint(records.count)
        for record in records { record.encode(to: &writer) }
    }

    private func encode(to writer: inout ByteWriter) {
        writer.varint(source.file)
        writer.varint(source.line)
        writer.string(source.id)
        writer.varint(offset)
        writer.varint(truncated)
        writer.varint(leftOut)
        writer.varint(repairs.count)
        for repair in repairs {
            writer.string(repair.reason.utf8)
            writer.varint(repair.droppedMessages)
        }
        switch outcome {
        case .rejected(let reason, let detail):
            writer.varint(0)
            writer.string(reason.utf8)
            writer.string(detail.utf8)
        case .kept(let samples):
            writer.varint(samples.count)
            for sample in samples {
                writer.varint(sample.inputIDs.count)
                writer.varint(sample.leadingPadding)
                writer.varint(sample.trailingPadding)
                for (id, mark) in zip(sample.inputIDs, sample.lossMask) { writer.varint(Int(id) << 1 | (mark ? 1 : 0)) }
            }
        }
    }

    static func decode(_ reader: inout ByteReader) throws(DecodingFailure) -> [SourceRecord] {
        var records: [SourceRecord] = []
        for _ in 0..<(try reader.count("the number of records", bytesEach: 8)) {
            records.append(try SourceRecord(&reader))
        }
        return records
    }

    private init(_ reader: inout ByteReader) throws(DecodingFailure) {
        let file = try reader.varint("a file's number")
        let line = try reader.varint("a line's number")
        source = SampleSource(file: file, line: line, id: try reader.string("an id"))
        offset = try reader.varint("an offset")
        truncated = try reader.varint("the number of cut samples")
        leftOut = try reader.varint("the number of samples left out")
        repairs = []
        for _ in 0..<(try reader.count("the number of repairs", bytesEach: 2)) {
            let reason = String(decoding: try reader.string("a reason"), as: UTF8.self)
            repairs.append(Repair(reason, droppedMessages: try reader.varint("the number of messages")))
        }
        let count = try reader.count("the number of samples")
        if count == 0 {
            let reason = String(decoding: try reader.string("a reason"), as: UTF8.self)
            outcome = .rejected(reason: reason, detail: String(decoding: try reader.string("a detail"), as: UTF8.self))
            return
        }
        var samples: [Sample] = []
        for _ in 0..<count {
            let length = try reader.count("a sample's length")
            var sample = Sample(
                inputIDs: [], lossMask: [], leadingPadding: try reader.varint("a sample's padding"),
                trailingPadding: try reader.varint("a sample's padding"))
            guard sample.leadingPadding <= length, sample.trailingPadding <= length - sample.leadingPadding else {
                throw DecodingFailure("a sample's padding is longer than it")
            }
            sample.inputIDs.reserveCapacity(length)
            sample.lossMask.reserveCapacity(length)
            for _ in 0..<length {
                let value = try reader.varint("a token")
                guard let id = Int32(exactly: value >> 1) else { throw DecodingFailure("a token is \(value >> 1)") }
                sample.inputIDs.append(id)
                sample.lossMask.append(value & 1 == 1)
            }
            samples.append(sample)
        }
        outcome = .kept(samples)
    }
}

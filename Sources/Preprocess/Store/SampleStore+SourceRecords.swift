import Shared

extension SampleStore {
    /// What became of the dataset's records, from the first of a block on, as the store knows it.
    ///
    /// Each record must have a line of its own.
    func sourceRecords(fromBlock block: Int) throws -> [SourceRecord] {
        var kept = try keptRecords(fromBlock: block)[...]
        var merged: [SourceRecord] = []
        for note in try (block..<max(block, blockCount)).flatMap({ try records.notes(block: $0) }) {
            let source = SampleSource(file: note.file, line: note.line, id: [])
            while let next = kept.first, next.source.isBefore(source) { merged.append(kept.removeFirst()) }
            switch note.kind {
            case .rejected:
                let outcome = SourceRecord.Outcome.rejected(reason: note.reason, detail: note.detail)
                merged.append(SourceRecord(source: source, offset: note.offset, outcome: outcome))
            case .repaired:
                guard let next = kept.first, next.source.isSameLine(as: source) else {
                    throw StoreError(path, "its notes name a record that it hasn't")
                }
                kept[kept.startIndex].offset = note.offset
                kept[kept.startIndex].repairs.append(.init(note))
            }
        }
        return merged + kept
    }

    private func keptRecords(fromBlock block: Int) throws -> [SourceRecord] {
        var kept: [SourceRecord] = []
        for index in firstSample(ofBlock: block)..<count {
            let (source, sample) = (try source(of: index), try sample(at: index))
            if let last = kept.last, case .kept(let others) = last.outcome, last.source.isSameLine(as: source) {
                kept[kept.count - 1].outcome = .kept(others + [sample])
            } else {
                kept.append(SourceRecord(source: source, offset: 0, outcome: .kept([sample])))
            }
        }
        return kept
    }
}

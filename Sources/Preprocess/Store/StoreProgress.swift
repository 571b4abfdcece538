import Shared

/// How far a build has come: what the next one needs to go on.
struct StoreProgress {
    var blocks = 0
    var groups = 0
    var counts = StoreCounts()
    var tokenCounts: [UInt64]

    init(vocabSize: Int) { tokenCounts = Array(repeating: 0, count: vocabSize) }

    init(_ records: StoreReader, path: String, vocabSize: Int) throws {
        let text = try records.read(StoreKey.progress) { Array($0) }
        let root = try JSONFile(contents: text, path: path).root
        blocks = try root.int("blocks")
        groups = try root.int("groups")
        let counts = try StoreCounts(root.required("counts"))
        self.counts = counts
        tokenCounts = try records.read(StoreKey.counts) { bytes throws(DecodingFailure) in
            try TokenCounts.decode(bytes, vocabSize: vocabSize, total: counts.supervisedTokens)
        }
        guard (0...1 << 40).contains(blocks), (0...1 << 40).contains(groups), counts.isReconciled else {
            throw StoreError(path, "its progress is damaged")
        }
    }

    /// Takes the samples' supervised tokens off the counts; false if there are fewer.
    mutating func uncount(_ samples: [Sample]) -> Bool {
        for sample in samples {
            for (id, isSupervised) in zip(sample.inputIDs, sample.lossMask) where isSupervised {
                guard tokenCounts[Int(id)] > 0 else { return false }
                tokenCounts[Int(id)] -= 1
            }
        }
        return true
    }

    /// Counts the samples' supervised tokens.
    mutating func add(_ samples: [Sample]) {
        for sample in samples {
            for (id, isSupervised) in zip(sample.inputIDs, sample.lossMask) where isSupervised {
                tokenCounts[Int(id)] += 1
            }
        }
    }
}

extension StoreCounts {
    /// Counts one more record.
    mutating func add(_ record: SourceRecord) {
        read += 1
        switch record.outcome {
        case .kept(let made):
            kept += 1
            samples += made.count
            truncated += record.truncated
            leftOut += record.leftOut
            for sample in made {
                tokens += sample.inputIDs.count
                for isSupervised in sample.lossMask where isSupervised { supervisedTokens += 1 }
            }
            for repair in record.repairs {
                repaired[repair.reason, default: 0] += 1
                droppedMessages += repair.droppedMessages
            }
        case .rejected(let reason, _): rejected[reason, default: 0] += 1
        }
    }
}

extension StoreCounts {
    /// The counts before these records were added.
    ///
    /// What a store doesn't know of single records stays: messages that were left out, samples that were cut or left out.
    func without(_ records: [SourceRecord]) -> StoreCounts {
        var their = StoreCounts()
        for record in records { their.add(record) }
        var rest = self
        rest.read -= their.read
        rest.kept -= their.kept
        rest.samples -= their.samples
        rest.tokens -= their.tokens
        rest.supervisedTokens -= their.supervisedTokens
        rest.rejected = rejected.merging(their.rejected, uniquingKeysWith: -).filter { $0.value > 0 }
        rest.repaired = repaired.merging(their.repaired, uniquingKeysWith: -).filter { $0.value > 0 }
        return rest
    }
}

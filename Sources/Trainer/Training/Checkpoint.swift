@preconcurrency import Glibc
import Shared

/// Checkpoints of a run: `OUTPUT/step_N` or `OUTPUT/epoch_N`.
///
/// Each holds what inference engines load (`config.json`, `model.safetensors` by SpecForge's names, without the
/// embedding, and its index, without which engines read every `*.safetensors` of a directory), what resuming needs (`training_state.safetensors`: float32 weights and the optimizer's moments;
/// `training_state.json`), and what the draft accepts if that was measured (`acceptance.json`). It is written aside,
/// synced and renamed, so a crash at any moment leaves those before it; `tidy` clears away what the crash left.
struct Checkpoints {
    let directory: String
    /// How many are kept, nil for all; the best one and the newest always are.
    var keepLast: Int?
    /// How `model.safetensors` stores its weights.
    var type = TensorType.bfloat16

    /// What is written.
    struct Contents {
        let configuration: any DraftConfiguration
        let parameters: ParameterStore
        let optimizer: ShardedOptimizer
        let mapping: VocabularyMapping
        let state: CheckpointState
        /// What the draft accepts; nil if that wasn't measured at this step.
        var reference: AcceptanceReference?
    }

    /// Writes a checkpoint and points `latest` to it, and `best` if it is.
    ///
    /// Collective: call on all ranks, of which the first writes.
    func save(_ contents: Contents, name: String, isBest: Bool, world: any Communicator) throws {
        let aside = "\(directory)/.\(name).partial"
        do {
            var writer: SafetensorsWriter?
            try world.onFirstRank(stopsAtSignals: false) { beat in
                try makeDirectory(directory)
                try removeDirectory(aside)
                try makeDirectory(aside)
                writer = try begin(contents, in: aside, beat)
            }
            for moment in ShardedOptimizer.Moment.allCases {
                try append(moment, of: contents, to: &writer, world)
            }
            try world.onFirstRank(stopsAtSignals: false) { beat in
                try writer?.finish()
                try finish(contents, in: aside, beat)
                try replace("\(directory)/\(name)", by: aside)
                try link("latest", to: name)
                if isBest { try link("best", to: name) }
                try prune()
            }
        } catch {
            if world.rank == 0 { try? removeDirectory(aside) }
            throw error
        }
    }

    /// The newest intact checkpoint, on all ranks; the first one alone looks whether it is.
    ///
    /// Collective: call on all ranks.
    ///
    /// - Throws: `RanksDiffer` on a rank that doesn't see what the first one found.
    func newest(_ world: any Communicator) throws -> (path: String, state: CheckpointState)? {
        var found: (path: String, state: CheckpointState)?
        try world.onFirstRank { found = try newest(check: $0) }
        let path = world.broadcast(found?.path ?? "")
        guard !path.isEmpty, world.rank > 0 else { return found }
        do {
            return (path, try CheckpointState.read(path).state)
        } catch {
            throw RanksDiffer(description: "\(error); rank 0 sees a whole checkpoint there: all ranks must")
        }
    }

    /// The newest intact checkpoint; damaged ones are named in the log and passed over.
    ///
    /// - Parameter check: Runs now and then while files are read, and may end it by throwing.
    func newest(check: () throws -> Void = {}) throws -> (path: String, state: CheckpointState)? {
        guard fileExists(directory) else { return nil }
        for name in try names().reversed() {
            let path = "\(directory)/\(name)"
            do {
                return (path, try Self.verified(path, check: check))
            } catch let error where !(error is Interrupted) {
                Log.line("warning: \(error); the checkpoint is passed over for the one before")
            }
        }
        return nil
    }

    /// Checks every file of a checkpoint against its digest.
    static func verified(_ path: String, check: () throws -> Void = {}) throws -> CheckpointState {
        let (state, digests) = try CheckpointState.read(path)
        for name in ["config.json", "model.safetensors", "training_state.safetensors"] {
            guard let wanted = digests[name] else {
                throw FileError("\(path)/\(CheckpointState.fileName)", "find the digest of \(name)", code: EINVAL)
            }
            let found = try Digest(ofFile: "\(path)/\(name)", check: check).hex
            guard found == wanted else {
                throw WeightsError("\(path)/\(name)", "is damaged: its digest is \(found), should be \(wanted)")
            }
        }
        return state
    }

    /// Restores all weights, and the moments that are this rank's.
    ///
    /// - Parameter check: Runs after each tensor, and may end it by throwing.
    static func restore(
        _ path: String, into parameters: ParameterStore, _ optimizer: ShardedOptimizer, check: () throws -> Void = {}
    ) throws {
        let file = try SafetensorsFile("\(path)/training_state.safetensors")
        for (name, shape, values) in parameters.tensors {
            let tensor = try file.tensor(name)
            try tensor.expect(shape)
            try tensor.copy(
                rows: 0..<values.rows, columns: 0..<values.columns, into: values.start, stride: values.stride)
            try check()
        }
        for moment in ShardedOptimizer.Moment.allCases {
            try optimizer.restore(moment) { part, target in
                for (name, shape, range) in parameters.ranges where part.overlaps(range) {
                    let tensor = try file.tensor(moment.rawValue + name)
                    try tensor.expect(shape)
                    let common = part.clamped(to: range)
                    tensor.widen(
                        elements: common.lowerBound - range.lowerBound..<common.upperBound - range.lowerBound,
                        into: target + (common.lowerBound - part.lowerBound))
                }
                try check()
            }
        }
    }

    // MARK: - Writing

    /// Writes all but the moments, which follow in the file that is returned.
    private func begin(
        _ contents: Contents, in path: String, _ check: () throws -> Void
    ) throws -> SafetensorsWriter {
        try writeFile("\(path)/config.json", contents.configuration.json.pretty.utf8)
        try writeModel(contents, in: path, check)
        let tensors = contents.parameters.tensors
        let moments = ShardedOptimizer.Moment.allCases.flatMap { moment in
            contents.parameters.trainedTensors.map { (name: moment.rawValue + $0.name, shape: $0.shape) }
        }
        let all = tensors.map { (name: $0.name, shape: $0.shape) } + moments
        var writer = try SafetensorsWriter(
            "\(path)/training_state.safetensors",
            all.map { SafetensorsWriter.Entry(name: $0.name, type: .float32, shape: $0.shape) })
        for tensor in tensors {
            try writer.append(UnsafeBufferPointer(start: tensor.values.start, count: tensor.values.count))
            try check()
        }
        return writer
    }

    /// Writes a moment's tensors, of which each rank holds parts.
    private func append(
        _ moment: ShardedOptimizer.Moment, of contents: Contents, to writer: inout SafetensorsWriter?,
        _ world: any Communicator
    ) throws {
        var failure: (any Error)?
        do {
            try contents.optimizer.gather(moment) { piece, numbers in
                for (_, _, range) in contents.parameters.ranges where piece.overlaps(range) {
                    let common = piece.clamped(to: range)
                    let start = numbers + (common.lowerBound - piece.lowerBound)
                    try writer?.append(UnsafeBufferPointer(start: start, count: common.count))
                }
            }
        } catch {
            failure = error
        }
        try world.onFirstRank(stopsAtSignals: false) { _ in if let failure { throw failure } }
    }

    /// Writes the state, with the digests of the files before it.
    private func finish(_ contents: Contents, in path: String, _ check: () throws -> Void) throws {
        var digests: [String: String] = [:]
        for name in ["config.json", "model.safetensors", "training_state.safetensors"] {
            digests[name] = try Digest(ofFile: "\(path)/\(name)", check: check).hex
        }
        try writeFile("\(path)/\(CheckpointState.fileName)", contents.state.json(digests: digests).pretty.utf8)
        if var reference = contents.reference {
            reference.weights = digests["model.safetensors"]
            try writeFile("\(path)/\(AcceptanceReference.fileName)", reference.json.pretty.utf8)
        }
        try syncDirectory(path)
    }

    /// Writes the draft's tensors, and the index that names their file.
    private func writeModel(_ contents: Contents, in path: String, _ check: () throws -> Void) throws {
        let tensors = contents.parameters.tensors
        let mapping = contents.mapping
        var entries = tensors.map { SafetensorsWriter.Entry(name: $0.name, type: type, shape: $0.shape) }
        // A draft of the whole vocabulary has no mapping: vLLM refuses one.
        let isMapped = mapping.draftVocabSize < mapping.vocabSize
        if isMapped {
            entries.append(.init(name: "d2t", type: .int64, shape: [mapping.draftVocabSize]))
            entries.append(.init(name: "t2d", type: .bool, shape: [mapping.vocabSize]))
        }
        let file = "model.safetensors"
        let index = JSONText.object([
            ("metadata", .object([("total_size", .int(entries.reduce(0) { $0 + $1.byteCount }))])),
            ("weight_map", .object(entries.map { ($0.name, .string(file)) })),
        ])
        try writeFile("\(path)/\(file).index.json", index.pretty.utf8)
        var writer = try SafetensorsWriter("\(path)/\(file)", entries)
        for tensor in tensors {
            try writer.append(UnsafeBufferPointer(start: tensor.values.start, count: tensor.values.count))
            try check()
        }
        if isMapped {
            try writer.append(mapping.draftToTargetOffsets)
            try writer.append(mapping.targetHasDraft.map { UInt8($0 ? 1 : 0) })
        }
        try writer.finish()
    }
}

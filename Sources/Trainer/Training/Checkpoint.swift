@preconcurrency import Glibc
import Shared

/// Checkpoints of a run: `OUTPUT/step_N` or `OUTPUT/epoch_N`.
///
/// Each holds what inference engines load (`config.json`, `model.safetensors` by SpecForge's names, without the
/// embedding) and what resuming needs (`training_state.safetensors`: float32 weights and Adam's moments;
/// `training_state.json`). It is written aside, synced and renamed, so a crash at any moment leaves those before it.
struct Checkpoints {
    let directory: String
    /// How many are kept, nil for all; the best one and the newest always are.
    var keepLast: Int?
    /// How `model.safetensors` stores its weights.
    var type = TensorType.bfloat16

    /// What is written.
    struct Contents {
        let configuration: Eagle3Configuration
        let parameters: ParameterStore
        let optimizer: AdamW
        let mapping: VocabularyMapping
        let state: CheckpointState
    }

    /// Writes a checkpoint and points `latest` to it, and `best` if it is.
    func save(_ contents: Contents, name: String, isBest: Bool) throws {
        try makeDirectory(directory)
        let aside = "\(directory)/.\(name).partial"
        let final = "\(directory)/\(name)"
        do {
            try removeDirectory(aside)
            try makeDirectory(aside)
            try write(contents, to: aside)
            try syncDirectory(aside)
            try removeDirectory(final)
            guard rename(aside, final) == 0 else { throw FileError(final, "rename \(aside) to it") }
            try syncDirectory(directory)
            try link("latest", to: name)
            if isBest { try link("best", to: name) }
        } catch {
            try? removeDirectory(aside)
            throw error
        }
        try prune()
    }

    /// The newest intact checkpoint; damaged ones are named in the log and passed over.
    func newest() throws -> (path: String, state: CheckpointState)? {
        guard fileExists(directory) else { return nil }
        for name in try names().reversed() {
            let path = "\(directory)/\(name)"
            do {
                return (path, try Self.verified(path))
            } catch {
                Log.warning("\(error); the checkpoint is passed over")
            }
        }
        return nil
    }

    /// Checks every file of a checkpoint against its digest.
    static func verified(_ path: String) throws -> CheckpointState {
        let (state, digests) = try CheckpointState.read(path)
        for name in ["config.json", "model.safetensors", "training_state.safetensors"] {
            guard let wanted = digests[name] else {
                throw FileError("\(path)/\(CheckpointState.fileName)", "find the digest of \(name)", code: EINVAL)
            }
            let found = try Digest(ofFile: "\(path)/\(name)").hex
            guard found == wanted else {
                throw WeightsError("\(path)/\(name)", "is damaged: its digest is \(found), should be \(wanted)")
            }
        }
        return state
    }

    /// Restores weights and moments from a checkpoint.
    static func restore(_ path: String, into parameters: ParameterStore, _ optimizer: AdamW) throws(any Error) {
        let file = try SafetensorsFile("\(path)/training_state.safetensors")
        for (prefix, buffer, tensors) in buffers(parameters, optimizer) {
            guard let start = buffer.baseAddress, let weights = parameters.weights.baseAddress else { continue }
            for (name, shape, values) in tensors {
                let tensor = try file.tensor(prefix + name)
                try tensor.expect(shape)
                try tensor.copy(
                    rows: 0..<values.rows, columns: 0..<values.columns, into: start + (values.start - weights),
                    stride: values.stride)
            }
        }
    }

    // MARK: - Writing

    private func write(_ contents: Contents, to path: String) throws {
        try writeFile("\(path)/config.json", contents.configuration.json.pretty.utf8)
        try writeModel(contents, to: "\(path)/model.safetensors")
        try writeState(contents, to: "\(path)/training_state.safetensors")
        var digests: [String: String] = [:]
        for name in ["config.json", "model.safetensors", "training_state.safetensors"] {
            digests[name] = try Digest(ofFile: "\(path)/\(name)").hex
        }
        try writeFile("\(path)/\(CheckpointState.fileName)", contents.state.json(digests: digests).pretty.utf8)
    }

    private func writeModel(_ contents: Contents, to path: String) throws(FileError) {
        let tensors = contents.parameters.tensors
        let mapping = contents.mapping
        var entries = tensors.map { SafetensorsWriter.Entry(name: $0.name, type: type, shape: $0.shape) }
        // A draft of the whole vocabulary has no mapping: vLLM refuses one.
        let isMapped = mapping.draftVocabSize < mapping.vocabSize
        if isMapped {
            entries.append(.init(name: "d2t", type: .int64, shape: [mapping.draftVocabSize]))
            entries.append(.init(name: "t2d", type: .bool, shape: [mapping.vocabSize]))
        }
        var writer = try SafetensorsWriter(path, entries)
        for tensor in tensors {
            try writer.append(UnsafeBufferPointer(start: tensor.values.start, count: tensor.values.count))
        }
        if isMapped {
            try writer.append(mapping.draftToTargetOffsets)
            try writer.append(mapping.targetHasDraft.map { UInt8($0 ? 1 : 0) })
        }
        try writer.finish()
    }

    private func writeState(_ contents: Contents, to path: String) throws(FileError) {
        let buffers = Self.buffers(contents.parameters, contents.optimizer)
        let entries = buffers.flatMap { prefix, _, tensors in
            tensors.map { SafetensorsWriter.Entry(name: prefix + $0.name, type: .float32, shape: $0.shape) }
        }
        var writer = try SafetensorsWriter(path, entries)
        for (_, buffer, tensors) in buffers {
            guard let start = buffer.baseAddress, let weights = contents.parameters.weights.baseAddress else {
                continue
            }
            for tensor in tensors {
                let place = start + (tensor.values.start - weights)
                try writer.append(UnsafeBufferPointer(start: place, count: tensor.values.count))
            }
        }
        try writer.finish()
    }

    /// The flat buffers that resuming needs, what stands before their tensors' names, and which those are.
    private static func buffers(_ parameters: ParameterStore, _ optimizer: AdamW) -> [StateBuffer] {
        [
            ("", parameters.weights, parameters.tensors), ("adam.m.", optimizer.m, parameters.trainedTensors),
            ("adam.v.", optimizer.v, parameters.trainedTensors),
        ]
    }

    private typealias StateBuffer = (
        prefix: String, buffer: UnsafeMutableBufferPointer<Float>,
        tensors: [(name: String, shape: [Int], values: Matrix)]
    )

    // MARK: - Links and pruning

    /// Checkpoints by step, the oldest first.
    private func names() throws -> [String] {
        let steps = try listDirectory(directory).compactMap { name -> (name: String, step: Int)? in
            guard name.hasPrefix("step_") || name.hasPrefix("epoch_") else { return nil }
            // A state that can't be read is the newest as far as we know, so that it is looked at and named.
            let step = (try? CheckpointState.read("\(directory)/\(name)").state.step) ?? Int.max
            return (name, step)
        }
        return steps.sorted { ($0.step, $0.name) < ($1.step, $1.name) }.map(\.name)
    }

    /// Points a link to a checkpoint: made aside and renamed, so that it always points to one.
    private func link(_ name: String, to target: String) throws(FileError) {
        let (path, aside) = ("\(directory)/\(name)", "\(directory)/.\(name).partial")
        unlink(aside)
        guard symlink(target, aside) == 0 else { throw FileError(aside, "link it to \(target)") }
        guard rename(aside, path) == 0 else { throw FileError(path, "link it to \(target)") }
    }

    private func prune() throws {
        guard let keepLast else { return }
        let kept = ["latest", "best"].compactMap { linkTarget("\(directory)/\($0)") }
        for name in try names().dropLast(keepLast) where !kept.contains(name) {
            try removeDirectory("\(directory)/\(name)")
        }
    }

    private func linkTarget(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

import Shared

/// `Trainer probe`: the target's hidden states and logits, to compare with another implementation.
enum ProbeCommand {
    struct Options: Shared.Options {
        static let summary = "Writes the target's hidden states and logits for some tokens."

        var target = TargetOptions()
        @Option("Token ids: a JSON array.", value: "FILE") var inputIds: String
        @Option("Where hidden_states [layers + 1, tokens, hidden] and logits [tokens, vocab] go.", value: "FILE")
        var output: String
    }

    static let command = Command("probe", Options.self) { options in
        let grid = try Ranks.start(options.target)
        let file = try JSONFile(options.inputIds)
        let ids = try file.root.elements.map { try $0.asInt() }
        guard !ids.isEmpty else { throw JSONError("should be an array of at least one token id", at: options.inputIds) }
        let target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel, positions: ids.count, grid.compute,
            expertParallel: options.target.expertParallel, unpacks: options.target.unpackTarget,
            world: grid.world,
            beforeReading: { try grid.expectMemory(for: $0) })
        let vocabSize = target.configuration.vocabSize
        for id in ids where !(0..<vocabSize ~= id) {
            throw JSONError("token id \(id) is not below the target's vocab_size, \(vocabSize)", at: options.inputIds)
        }
        let (states, logits) = run(target, ids.map { Int32($0) })
        grid.logProfile(options.target)
        guard grid.world.rank == 0 else { return }
        let shape = target.configuration
        var writer = try SafetensorsWriter(
            options.output,
            [
                .init(
                    name: "hidden_states", type: .float32,
                    shape: [shape.numHiddenLayers + 1, ids.count, shape.hiddenSize]),
                .init(name: "logits", type: .float32, shape: [ids.count, vocabSize]),
            ])
        try writer.append(states)
        try writer.append(logits)
        try writer.finish()
        Log.line("wrote \(options.output)")
    }

    /// Hidden states, the last after the final norm, and all logits, which this one command puts together.
    private static func run(_ target: DecoderTargetModel, _ ids: [Int32]) -> (states: [Float], logits: [Float]) {
        let workspace = Workspace(target.memory.compute)
        let batch = Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in false })])
        let (shape, size, rank) = (target.configuration, target.communicator.size, target.communicator.rank)
        let x = workspace.matrix(rows: ids.count, columns: shape.hiddenSize)
        target.embed(ids, into: x)
        var states: [Float] = []
        target.forward(x, DecoderRows(batch), in: workspace) { layer, input in
            if layer < shape.numHiddenLayers { states += UnsafeBufferPointer(start: input.start, count: input.count) }
        }
        states += UnsafeBufferPointer(start: x.start, count: x.count)
        let part = workspace.matrix(rows: ids.count, columns: target.vocabulary.count)
        target.logits(x, into: part)
        let counts = (0..<size).map { shard(shape.vocabSize, rank: $0, of: size).count * ids.count }
        let send = workspace.matrix(rows: size, columns: part.count)
        for other in 0..<size { send.row(other).update(from: part.start, count: part.count) }
        let receive = workspace.matrix(rows: ids.count, columns: shape.vocabSize)
        let logits = workspace.matrix(rows: ids.count, columns: shape.vocabSize)
        target.communicator.allToAll(
            send.start, [Int](repeating: counts[rank], count: size), into: receive.start, counts)
        var offset = 0
        for other in 0..<size {
            let columns = shard(shape.vocabSize, rank: other, of: size)
            logits[columns: columns].copy(
                from: Matrix(start: receive.start + offset, rows: ids.count, columns: columns.count, receive.compute))
            offset += counts[other]
        }
        return (states, Array(UnsafeBufferPointer(start: logits.start, count: logits.count)))
    }
}

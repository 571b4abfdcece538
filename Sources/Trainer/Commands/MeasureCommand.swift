import Shared

/// `Trainer measure`: the speed and the memory of a target's forward pass.
enum MeasureCommand {
    struct Options: Shared.Options {
        static let summary = "Measures a target: loading, forward passes of some lengths, and memory."

        var target = TargetOptions()
        @Option("Tokens of a forward pass: one sequence.", in: 1...1 << 24) var lengths: [Int] = [512, 2048]
        @Option("Passes of each length, beside a first one that isn't counted; the fastest counts.", in: 1...1_000_000)
        var repeats: Int = 3
        @Flag("Make the logits of all tokens too.") var logits
        @Flag("Print one JSON object, with the rates of the machine that plan --hosts reads.") var json
    }

    static let command = Command("measure", Options.self) { options in
        let grid = try Ranks.start(options.target)
        let start = ContinuousClock.now
        let target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel,
            positions: options.lengths.max() ?? 1, grid.compute, expertParallel: options.target.expertParallel,
            unpacks: options.target.unpackTarget,
            world: grid.world,
            beforeReading: { try grid.expectMemory(for: $0) })
        let loading = grid.world.max([(ContinuousClock.now - start).seconds])[0]
        // Between the sums of a pass, on a communicator of its own.
        let attendance = Attendance(grid.world.split(color: 0))
        let passes = try options.lengths.map { try Pass(target, length: $0, options, grid, attendance.beat) }
        let rates = options.json ? try MachineRates.measure(grid, attendance.beat) : nil
        try attendance.finish()
        let peak = grid.world.max([Double(Machine.peakResidentBytes)])[0]
        grid.logProfile(options.target)
        guard grid.world.rank == 0 else { return }
        guard options.json else {
            for pass in passes { print(pass.text) }
            print(
                "loaded in \(fixed(loading, 2)) s, weights \(shortNumber(Double(target.memory.byteCount)))B, peak memory "
                    + "\(shortNumber(peak))B a rank")
            return
        }
        let members: [(String, JSONText)] = [
            ("loading_seconds", .number(loading)), ("weight_bytes", .int(target.memory.byteCount)),
            ("peak_bytes", .int(Int(peak))), ("passes", .array(passes.map(\.json))),
            ("rates", rates.map(\.json) ?? .null),
        ]
        print(JSONText.object(members).compact)
    }

    /// Forward passes of one length.
    private struct Pass {
        let length: Int
        /// Of the fastest, on the slowest rank.
        let seconds: Double
        /// Of the activations of this rank.
        let activationBytes: Int

        /// - Parameter beat: Called after each layer; ends the pass by throwing, on all ranks.
        init(
            _ target: DecoderTargetModel, length: Int, _ options: Options, _ grid: ProcessGrid,
            _ beat: () throws -> Void
        ) throws {
            let workspace = Workspace(grid.compute)
            var random = SplitMix64(seed: UInt64(length))
            let ids = (0..<length).map { _ in Int32(random.below(target.configuration.vocabSize)) }
            let rows = DecoderRows(Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in false })]))
            var fastest = Double.infinity
            for pass in 0...options.repeats {
                try grid.world.stopIfInterrupted()
                let start = ContinuousClock.now
                try workspace.scope {
                    let x = workspace.matrix(rows: length, columns: target.configuration.hiddenSize)
                    target.embed(ids, into: x)
                    try target.forward(x, rows, in: workspace) { _, _ in try beat() }
                    if options.logits { target.allLogits(x, in: workspace) }
                }
                let seconds = grid.world.max([(ContinuousClock.now - start).seconds])[0]
                if pass > 0 { fastest = min(fastest, seconds) }
            }
            self.length = length
            seconds = fastest
            activationBytes = 4 * workspace.highWater
        }

        var text: String {
            "\(length) tokens: \(fixed(1000 * seconds, 1)) ms, \(shortNumber(Double(length) / seconds)) tokens/s, "
                + "activations \(shortNumber(Double(activationBytes)))B"
        }

        var json: JSONText {
            .object([
                ("tokens", .int(length)), ("seconds", .number(seconds)),
                ("tokens_per_second", .number(Double(length) / seconds)), ("activation_bytes", .int(activationBytes)),
            ])
        }
    }
}

extension DecoderTargetModel {
    /// Makes this rank's logits of all rows as training does: of some rows at a time, which the next ones replace.
    fileprivate func allLogits(_ hidden: Matrix, in workspace: Workspace) {
        for first in stride(from: 0, to: hidden.rows, by: 256) {
            workspace.scope {
                let part = hidden[rows: first..<min(first + 256, hidden.rows)]
                logits(part, into: workspace.matrix(rows: part.rows, columns: vocabulary.count))
            }
        }
    }
}

import Shared

extension ProcessGrid {
    /// Refuses a model that is laid out and doesn't fit into the memory of the machine, or of its control group.
    ///
    /// Collective: all ranks call it, as those of a machine share its memory.
    /// - Parameter bytes: What this rank needs besides the target's weights.
    /// - Throws: `NotEnoughMemory`, before anything is read.
    func expectMemory(for target: DecoderTargetModel, besides bytes: Int = 0) throws {
        let here = world.splitByMachine()
        let needed = Int(here.sum([Double(target.memory.byteCount + bytes)])[0])
        let what =
            "\(bytes > 0 ? "target and draft" : "the target") in \(compute.precision)"
            + (here.size > 1 ? ", by \(here.size) ranks of this machine," : "")
        try AvailableMemory.read()?.expect(needed, for: what)
    }

    /// Warns of a run that fits, but not with the activations of its longest sequences.
    ///
    /// No error, as these may never stand in a micro batch together, and learn fewer rows than is planned for.
    /// Collective, as `expectMemory`.
    /// - Parameter plan: Of this rank.
    func warn(of plan: MemoryPlan) {
        let here = world.splitByMachine()
        let needed = Int(here.sum([Double(plan.bytes)])[0])
        guard world.rank == 0, let available = AvailableMemory.read(),
            let warning = Self.warning(needed: needed, ranks: here.size, available)
        else { return }
        Log.warning(warning)
    }

    /// Nil if as many bytes are available.
    static func warning(needed: Int, ranks: Int, _ available: AvailableMemory) -> String? {
        guard needed > available.bytes else { return nil }
        let what = "training" + (ranks > 1 ? " by \(ranks) ranks of this machine" : "")
        return "with the longest sequences \(NotEnoughMemory(what: what, needed: needed, available: available)), or a "
            + "smaller --batch-size or --max-length"
    }
}

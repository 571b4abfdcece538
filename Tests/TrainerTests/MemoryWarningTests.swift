import Shared
import TestSupport
import Testing

@testable import Trainer

/// What a run says of its memory before it begins.
struct MemoryWarningTests {
    @Test func aRunThatMayNotFitIsWarnedOf() throws {
        let available = AvailableMemory(bytes: 16_000_000_000, owner: "this machine has")
        #expect(ProcessGrid.warning(needed: 16_000_000_000, ranks: 1, available) == nil)
        let warning = try #require(ProcessGrid.warning(needed: 17_500_000_000, ranks: 2, available))
        #expect(
            warning.contains("training by 2 ranks of this machine takes 17.5 GB of memory, this machine has 16.0 GB"))
        #expect(warning.hasSuffix("or a smaller --batch-size or --max-length"))
    }

    /// A micro batch has no more sequences than there are, and what is planned for it takes no memory of its own.
    @Test(arguments: ["4", "1048576"], ["1", "1048576"])
    func noNumberOfSequencesIsTooLargeToPlan(stepSize: String, batchSize: String) throws {
        let stores = try TinyStores()
        let words = [
            "train", "--train-data-path", stores.scratch.file("train.jsonl"), "--output-dir",
            stores.scratch.file("draft"), "--draft-vocab-size", "96", "--total-steps", "1",
            "--draft-global-batch-size", stepSize, "--batch-size", batchSize,
        ]
        let run = try ProgramRun("Trainer", words + stores.target + stores.data).finish()
        try #require(run.code == 0, "\(run.errors)")
        #expect(!run.errors.contains("warning: with the longest"))
        // Below a gigabyte, of which most is what the process that started it had.
        #expect(run.errors.contains(#/peak memory [\d.]+MB/#), "\(run.errors)")
    }
}

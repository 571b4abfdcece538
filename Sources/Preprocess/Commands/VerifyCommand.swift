import Shared

/// `Preprocess verify`: every record of a store read and compared.
struct VerifyOptions: Options {
    static let summary = "Reads every record of the stores in a cache, and checks checksums and counts."

    var cache = CacheOption()
    @Option("The dataset whose store is checked, its prompts' too; all are without it.", value: "FILE...")
    var trainDataPath: [String] = []
    @Flag("Report also how fast a thread reads the samples, in the store's order and in random order.") var measure
}

enum VerifyCommand {
    static let command = Command("verify", VerifyOptions.self, body: run)

    @Sendable private static func run(_ options: VerifyOptions) throws {
        Interrupt.install()
        let paths =
            try options.trainDataPath.isEmpty
            ? CacheDirectory(options.cache.cacheDir).stores()
            : [StoreLocation.Contents.samples, .prompts].map {
                StoreLocation.path(
                    cacheDir: options.cache.cacheDir, dataPaths: options.trainDataPath, holding: $0)
            }.filter(fileExists)
        guard !paths.isEmpty else {
            let dataset = options.trainDataPath.joined(separator: ", ")
            throw StoreError(options.cache.cacheDir, "has no store" + (dataset.isEmpty ? "" : " of \(dataset)"))
        }
        var damaged = 0
        for path in paths {
            do {
                try verify(path, measure: options.measure)
            } catch let error as Interrupted {
                throw error
            } catch {
                Log.error("\(error)")
                damaged += 1
            }
        }
        guard damaged == 0 else {
            throw StoreError(options.cache.cacheDir, "\(damaged) of \(paths.count) stores are damaged")
        }
    }

    private static func verify(_ path: String, measure: Bool) throws {
        let store = try SampleStore(reading: path)
        let progress = Progress("verifying", total: Double(store.count), unit: "samples")
        defer { progress.finish() }
        try store.verify { samples in
            try Interrupt.check()
            progress.update(Double(samples))
        }
        let counts = store.manifest.counts
        print("whole: \(path): \(counts.samples) samples of \(counts.tokens) tokens in \(store.groupCount) groups")
        guard measure else { return }
        let (ordered, random) = (try rate(store, 0..<store.count), try rate(store, (0..<store.count).shuffled()))
        print("  read by a thread: \(shortNumber(ordered)) tokens/s in order, \(shortNumber(random)) in random order")
    }

    /// The tokens that a thread reads in a second of the CPU's time.
    private static func rate(_ store: SampleStore, _ order: some Sequence<Int>) throws -> Double {
        let start = threadSeconds
        var tokens = 0
        for (count, index) in order.enumerated() {
            if count.isMultiple(of: 1024) { try Interrupt.check() }
            tokens += try store.sample(at: index).inputIDs.count
        }
        return Double(tokens) / max(threadSeconds - start, .leastNonzeroMagnitude)
    }
}

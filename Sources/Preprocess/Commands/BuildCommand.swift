import Shared

/// `Preprocess build`: a dataset in, its store out.
enum BuildCommand {
    static let command = Command("build", BuildOptions.self, body: run)

    @Sendable private static func run(_ options: BuildOptions) throws {
        Interrupt.install()
        try options.resolveFiles()
        // Buffers that only a very large record needs; those of ordinary batches are smaller and used again.
        Machine.returnFreedMemory(from: 4 << 20)
        let session = try BuildSession(options)
        let exchange = try LaunchedRank.current().map {
            RankExchange($0, store: session.path, request: try RankRequest(session.manifest))
        }
        if let exchange, exchange.launched.rank > 0 {
            Log.setPrefix("[rank \(exchange.launched.rank)] ")
            Log.setQuiet(true)
            return try session.help(exchange)
        }
        let outcome = try session.run(with: exchange)
        let report = try BuildReport(
            outcome, SampleStore(reading: session.path), draftVocabSizes: session.draftVocabSizes)
        print(options.json ? report.json.compact : report.text)
    }
}

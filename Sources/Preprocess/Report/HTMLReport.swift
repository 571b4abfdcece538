@preconcurrency import Glibc
import Shared

/// A store on one page that needs nothing else: numbers, charts, what was rejected, samples with their supervised spans.
struct HTMLReport {
    private static let (sampleCount, notesShown) = (12, 100)

    let store: SampleStore
    let statistics: StoreStatistics
    let tokenizer: Tokenizer

    func page() throws -> String {
        HTMLPage(
            title, subtitle: "<code>\(htmlEscaped(statistics.figures.path))</code>",
            [
                tiles, HTMLPage.grid([lengths, try maskShares()]), coverage, try records(), try samples(), settings,
            ].joined(separator: "\n")
        ).html
    }

    private var title: String {
        let names = store.manifest.files.map { $0.path.split(separator: "/").last.map(String.init) ?? $0.path }
        return names.count > 3 ? "\(names[0]) and \(names.count - 1) other files" : names.joined(separator: ", ")
    }

    private var tiles: String {
        let counts = statistics.figures.counts
        let tiles = [
            (grouped(counts.samples), "samples"), (shortNumber(Double(counts.tokens)), "tokens"),
            (fixed(100 * counts.supervisedShare, 1) + "%", "of them supervised"),
            (grouped(statistics.length(atShare: 0.5)), "tokens in the median sample"),
            (fixed(statistics.figures.bytesPerToken, 2), "bytes per token on disk"),
            (grouped(counts.rejectedTotal), "of \(grouped(counts.read)) records rejected"),
        ]
        return HTMLPage.tiles(tiles)
    }

    private var lengths: String {
        let longest = Double(statistics.lengths.last ?? 1)
        let limit = Double(store.manifest.settings.known.maxLength)
        let axis = min(limit, Axis.linear([longest], includesZero: true).range.upperBound)
        let histogram = Histogram(statistics.lengths.lazy.map(Double.init), limit: axis, bins: 32)
        let cut = store.manifest.counts.truncated
        return HTMLPage.card(
            "Lengths", "Samples by their number of tokens; \(grouped(cut)) were cut to \(Int(limit)).",
            BarChart("Histogram of lengths", bounds: histogram.bounds, counts: histogram.counts) {
                grouped(Int($0.rounded()))
            }.html)
    }

    private func maskShares() throws -> String {
        let shares = try (0..<store.count).map { index in
            let sample = try store.sample(at: index)
            return Double(sample.supervisedCount) / Double(max(1, sample.inputIDs.count))
        }
        let histogram = Histogram(shares, limit: 1, bins: 32)
        return HTMLPage.card(
            "Supervised shares", "Samples by the share of their tokens that is trained on.",
            BarChart("Histogram of supervised shares", bounds: histogram.bounds, counts: histogram.counts) {
                "\(Int(($0 * 100).rounded()))%"
            }.html)
    }

    private var coverage: String {
        let coverage = statistics.coverage
        // Sizes are on a logarithmic axis, from the power of two below the smallest possible one.
        let first = log2(Double(max(256, coverage.smallest)))
        let last = log2(Double(max(512, coverage.vocabSize)))
        let steps = (0...96).map { Int(exp2(first + (last - first) * Double($0) / 96).rounded()) }
        let marked = statistics.draftVocabSizes.filter { $0 <= coverage.vocabSize && $0 >= coverage.smallest }
        let sizes = Set(steps + marked).filter { $0 <= coverage.vocabSize && $0 >= coverage.smallest }.sorted()
        func curves(_ name: String, _ color: String, _ share: (Int) -> Double) -> [LineChart.Curve] {
            [
                LineChart.Curve(name, color: color, .line, sizes.map { (Double($0), share($0)) }),
                LineChart.Curve(
                    name, color: color, .dots, marked.sorted().map { (Double($0), share($0)) }, isInLegend: false),
            ]
        }
        var all = curves("this dataset", "var(--accent)") { coverage.share(draftVocabSize: $0) }
        if coverage.heldOutShare(draftVocabSize: coverage.vocabSize) != nil {
            all += curves("held-out data", "var(--second)") { coverage.heldOutShare(draftVocabSize: $0) ?? 0 }
        }
        // The axis' ends are named too, where they aren't beside another size.
        let named = statistics.draftVocabSizes.map { Double($0) }
        let ends = [exp2(first).rounded(), Double(coverage.vocabSize)].filter { end in
            named.allSatisfy { abs(log2($0) - log2(end)) > 0.08 * (last - first) }
        }
        let chart = LineChart(
            "Coverage of draft vocabularies",
            x: Axis(exp2(first)...exp2(last), ticks: named + ends, isLogarithmic: true),
            y: Axis(0...1, ticks: [0, 0.25, 0.5, 0.75, 1]), all, xName: "vocabulary of",
            xText: { grouped(Int($0.rounded())) },
            yText: { "\(fixed(100 * $0, 1))%" })
        return HTMLPage.card(
            "Draft vocabulary",
            "Share of the supervised tokens that a draft vocabulary of a size has; "
                + "\(grouped(coverage.distinctTokens)) of \(grouped(coverage.vocabSize)) tokens are supervised somewhere.",
            chart.html + coverageTable)
    }

    private var coverageTable: String {
        let coverage = statistics.coverage
        let hasHeldOut = coverage.heldOutShare(draftVocabSize: coverage.vocabSize) != nil
        let names = ["this dataset"] + (hasHeldOut ? ["held-out data"] : [])
        let headings = names.map { "<th class=\"number\">\($0)</th>" }
        let rows = statistics.draftVocabSizes.map { size in
            let shares = [
                coverage.share(draftVocabSize: size), coverage.heldOutShare(draftVocabSize: size),
            ].compactMap { $0.map { "<td class=\"number\">\(fixed(100 * $0, 3))%</td>" } }
            return "<tr><td>\(grouped(size)) tokens</td>\(shares.joined())</tr>"
        }
        return "<table class=\"narrow\"><tr><th>Vocabulary of</th>\(headings.joined())</tr>\(rows.joined())</table>"
    }

    private func records() throws -> String {
        let counts = store.manifest.counts
        let reasons =
            (counts.rejected.map { ($0.key, $0.value, "rejected") }
            + counts.repaired.map { ($0.key, $0.value, "repaired") }).sorted { ($1.1, $0.0) < ($0.1, $1.0) }
        guard let most = reasons.first?.1 else {
            return HTMLPage.card("Records", "All \(grouped(counts.read)) records were used as they are.", "")
        }
        let rows = reasons.map { reason, count, kind in
            let width = fixed(100 * Double(count) / Double(most), 1)
            return """
                <tr><td class="number">\(grouped(count))</td><td>\(kind)</td><td>\(htmlEscaped(reason))</td>\
                <td style="width:40%"><span class="share" style="width:\(width)%"></span></td></tr>
                """
        }
        let files = store.manifest.files.map(\.path)
        let notes = try store.notes()
        let lines = notes.prefix(Self.notesShown).map { note in
            let file = files.indices.contains(note.file) ? files[note.file] : "?"
            return """
                <tr><td><code>\(htmlEscaped(file)):\(note.line)</code></td><td>\(htmlEscaped(note.reason))</td>\
                <td class="soft">\(htmlEscaped(note.detail))</td></tr>
                """
        }
        return HTMLPage.card(
            "Records",
            "\(grouped(counts.read)) were read, \(grouped(counts.kept)) used, \(grouped(counts.rejectedTotal)) rejected.",
            """
            <table>\(rows.joined())</table><details><summary>The first \(lines.count) of \(grouped(notes.count)), \
            with their lines</summary><table>\(lines.joined())</table></details>
            """)
    }

    /// Some samples, evenly from the whole store.
    private func samples() throws -> String {
        let count = min(Self.sampleCount, store.count)
        let numbers = (0..<count).map { $0 * store.count / count }
        let shown = try numbers.enumerated().map { position, number in
            let (sample, source) = (try store.sample(at: number), try store.source(of: number))
            let pieces = try SampleText(sample, tokenizer).pieces.map { piece in
                let text = htmlEscaped(String(decoding: piece.utf8, as: UTF8.self))
                return piece.isSupervised ? "<mark>\(text)</mark>" : text
            }
            let id = String(decoding: source.id, as: UTF8.self)
            return """
                <details\(position == 0 ? " open" : "")><summary>Sample \(grouped(number)) <span class="soft">\
                \(htmlEscaped(id)), line \(source.line), \(grouped(sample.inputIDs.count)) tokens, \
                \(grouped(sample.supervisedCount)) supervised</span></summary><div class="text">\(pieces.joined())</div></details>
                """
        }
        return HTMLPage.card("Samples", "What is <mark>marked</mark> is trained on.", shown.joined(separator: "\n"))
    }

    private var settings: String {
        let rows =
            store.manifest.files.map { ("dataset", "\($0.path), \(grouped($0.status.size)) bytes, \($0.digest ?? "")") }
            + [("model", store.manifest.targetModelPath)] + store.manifest.described.map { ($0.name, $0.value) }
        let lines = rows.map { "<tr><th>\(htmlEscaped($0.0))</th><td><code>\(htmlEscaped($0.1))</code></td></tr>" }
        return HTMLPage.card(
            "What it was built from", "Other values would be another store.", "<table>\(lines.joined())</table>")
    }
}

@preconcurrency import Glibc
import Shared

/// A store on one page that needs nothing else: numbers, charts, what was rejected, samples with their supervised spans.
struct HTMLReport {
    private static let (sampleCount, notesShown) = (12, 100)

    let store: SampleStore
    let statistics: StoreStatistics
    let tokenizer: Tokenizer

    func page() throws -> String {
        """
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(htmlEscaped(title))</title>
        <style>
        \(HTMLStyle.css)
        </style>
        <main>
        <h1>\(htmlEscaped(title))</h1>
        <p class="soft"><code>\(htmlEscaped(statistics.path))</code></p>
        \(tiles)
        <div class="grid2">
        \(lengths)
        \(try maskShares())
        </div>
        \(coverage)
        \(try records())
        \(try samples())
        \(settings)
        </main>
        </html>

        """
    }

    private var title: String {
        let names = store.manifest.files.map { $0.path.split(separator: "/").last.map(String.init) ?? $0.path }
        return names.count > 3 ? "\(names[0]) and \(names.count - 1) other files" : names.joined(separator: ", ")
    }

    private var tiles: String {
        let counts = store.manifest.counts
        let tiles = [
            (grouped(counts.samples), "samples"), (shortNumber(Double(counts.tokens)), "tokens"),
            (fixed(100 * counts.supervisedShare, 1) + "%", "of them supervised"),
            (grouped(statistics.length(atShare: 0.5)), "tokens in the median sample"),
            (fixed(statistics.bytesPerToken, 2), "bytes a token on the disk"),
            (grouped(counts.rejectedTotal), "of \(grouped(counts.read)) records rejected"),
        ]
        return "<div class=\"tiles\">"
            + tiles.map { "<div class=\"card tile\"><b>\($0.0)</b><span class=\"soft\">\($0.1)</span></div>" }.joined()
            + "</div>"
    }

    private var lengths: String {
        let longest = Double(statistics.lengths.last ?? 1)
        let limit = store.manifest.setting(StoreSetting.maxLength).flatMap { Double($0) } ?? longest
        let axis = min(limit, HTMLChart.niceLimit(longest))
        let histogram = Histogram(statistics.lengths.lazy.map(Double.init), limit: axis, bins: 32)
        let cut = store.manifest.counts.truncated
        return card(
            "Lengths", "Samples by their number of tokens; \(grouped(cut)) were cut to \(Int(limit)).",
            HTMLChart.half.bars(histogram, name: "Histogram of lengths") { grouped(Int($0.rounded())) })
    }

    private func maskShares() throws -> String {
        let shares = try (0..<store.count).map { index in
            let sample = try store.sample(at: index)
            return Double(sample.supervisedCount) / Double(max(1, sample.inputIDs.count))
        }
        let histogram = Histogram(shares, limit: 1, bins: 32)
        return card(
            "Supervised shares", "Samples by the share of their tokens that is trained on.",
            HTMLChart.half.bars(histogram, name: "Histogram of supervised shares") { "\(Int(($0 * 100).rounded()))%" })
    }

    private var coverage: String {
        let coverage = statistics.coverage
        // Sizes are on a logarithmic axis, from the power of two below the smallest that says something.
        let (first, last) = (log2(Double(max(256, coverage.smallest))), log2(Double(max(512, coverage.vocabSize))))
        func at(_ size: Int) -> Double { min(1, max(0, (log2(Double(size)) - first) / (last - first))) }
        func curve(_ name: String, _ share: (Int) -> Double) -> (String, [(x: Double, y: Double, title: String)]) {
            let steps = (0...96).map { Int(exp2(first + (last - first) * Double($0) / 96).rounded()) }
            let marked = Set(statistics.draftVocabSizes)
            let sizes = Set(steps).union(marked).filter { $0 <= coverage.vocabSize && $0 >= coverage.smallest }.sorted()
            return (
                name,
                sizes.map { size in
                    let value = share(size)
                    let title = marked.contains(size) ? "\(grouped(size)): \(fixed(100 * value, 2))%, \(name)" : ""
                    return (at(size), value, title)
                }
            )
        }
        var curves = [curve("this dataset") { coverage.share(draftVocabSize: $0) }]
        if coverage.heldOutShare(draftVocabSize: coverage.vocabSize) != nil {
            curves.append(curve("held-out data") { coverage.heldOutShare(draftVocabSize: $0) ?? 0 })
        }
        // The axis' ends too, where they aren't beside another size.
        let marked = statistics.draftVocabSizes
        let ends = [Int(exp2(first)), coverage.vocabSize].filter { end in
            marked.allSatisfy { abs(at($0) - at(end)) > 0.08 }
        }
        let labels = marked + ends
        let keys = curves.enumerated().map { "<span class=\"key key\($0)\">\($1.0)</span>" }.joined()
        let chart = HTMLChart.full.curves(
            curves, name: "Coverage of draft vocabularies",
            xLabels: labels.map { (at($0), grouped($0)) }
        ) { "\(Int(($0 * 100).rounded()))%" }
        return card(
            "Draft vocabulary",
            "Share of the supervised tokens that a draft vocabulary of a size has; "
                + "\(grouped(coverage.distinctTokens)) of \(grouped(coverage.vocabSize)) tokens are supervised somewhere.",
            chart + "<p class=\"soft\">\(keys)</p>" + coverageTable)
    }

    private var coverageTable: String {
        let rows = statistics.draftVocabSizes.map { size in
            let shares = [
                statistics.coverage.share(draftVocabSize: size), statistics.coverage.heldOutShare(draftVocabSize: size),
            ].compactMap { $0.map { "<td class=\"number\">\(fixed(100 * $0, 3))%</td>" } }
            return "<tr><td>\(grouped(size)) tokens</td>\(shares.joined())</tr>"
        }
        return "<table class=\"narrow\">\(rows.joined())</table>"
    }

    private func records() throws -> String {
        let counts = store.manifest.counts
        let reasons =
            (counts.rejected.map { ($0.key, $0.value, "rejected") }
            + counts.repaired.map { ($0.key, $0.value, "repaired") }).sorted { ($1.1, $0.0) < ($0.1, $1.0) }
        guard let most = reasons.first?.1 else {
            return card("Records", "All \(grouped(counts.read)) records were used as they are.", "")
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
        return card(
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
        return card("Samples", "What is <mark>marked</mark> is trained on.", shown.joined(separator: "\n"))
    }

    private var settings: String {
        let rows =
            store.manifest.files.map { ("dataset", "\($0.path), \(grouped($0.status.size)) bytes, \($0.digest ?? "")") }
            + [("model", store.manifest.targetModelPath)] + store.manifest.settings.map { ($0.name, $0.value) }
        let lines = rows.map { "<tr><th>\(htmlEscaped($0.0))</th><td><code>\(htmlEscaped($0.1))</code></td></tr>" }
        return card(
            "What it was built from", "Other values would be another store.", "<table>\(lines.joined())</table>")
    }

    private func card(_ heading: String, _ note: String, _ body: String) -> String {
        "<section class=\"card\"><h2>\(heading)</h2><p class=\"soft\">\(note)</p>\(body)</section>"
    }
}

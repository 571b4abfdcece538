import Shared

/// How runs were started: settings and provenance, those that differ first.
struct RunSettings {
    private let runs: [RunLog]

    init(_ runs: [RunLog]) { self.runs = runs }

    var html: String {
        let settings = runs.map { run in
            Dictionary((run.starts.last?.values ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        }
        var names: [String] = []
        for name in runs.flatMap({ $0.starts.last?.values.map(\.name) ?? [] }) where !names.contains(name) {
            names.append(name)
        }
        let rows = { (names: [String], isMarked: Bool) in
            names.map { name in
                let cells = settings.map { "<td><code>\(htmlEscaped($0[name] ?? ""))</code></td>" }
                return "<tr\(isMarked ? " class=\"differs\"" : "")><th>\(htmlEscaped(name))</th>\(cells.joined())</tr>"
            }.joined()
        }
        let table = { (body: String) in "<div class=\"wide\"><table>\(header)\(body)</table></div>" }
        guard !names.isEmpty else {
            return HTMLPage.card("Settings", "These runs were made before their settings were written down.", "")
        }
        let differing = names.filter { name in settings.contains { $0[name] != settings[0][name] } }
        let same = names.filter { !differing.contains($0) }
        let note = runs.count > 1 ? "What differs between the runs; the rest is the same in all." : restarts
        let first = runs.count > 1 ? table(rows(differing, true)) : table(rows(same, false))
        let rest =
            runs.count > 1
            ? "<details><summary>\(same.count) settings that are the same</summary>\(table(rows(same, false)))</details>"
            : ""
        return HTMLPage.card("Settings and provenance", note, first + rest)
    }

    private var header: String {
        guard runs.count > 1 else { return "" }
        return "<tr><th></th>\(runs.map { "<th>\(htmlEscaped($0.name))</th>" }.joined())</tr>"
    }

    private var restarts: String {
        let steps = runs[0].starts.dropFirst().map { grouped($0.step) }
        return "How the run was started."
            + (steps.isEmpty ? "" : " Resumed at step \(steps.joined(separator: ", ")); this is the last start.")
    }
}

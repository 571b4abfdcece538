/// A page that needs nothing else: its style and its script are within.
public struct HTMLPage {
    private let title: String
    private let subtitle: String
    private let body: String

    /// - Parameters:
    ///   - subtitle: HTML below the title.
    ///   - body: HTML: tiles, cards, and grids of cards.
    public init(_ title: String, subtitle: String, _ body: String) {
        self.title = title
        self.subtitle = subtitle
        self.body = body
    }

    public var html: String {
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
        <p class="soft">\(subtitle)</p>
        \(body)
        </main>
        <script>
        \(HTMLStyle.script)
        </script>
        </html>

        """
    }

    /// A section with a heading and a note below it.
    public static func card(_ heading: String, _ note: String, _ body: String) -> String {
        "<section class=\"card\"><h2>\(heading)</h2><p class=\"soft\">\(note)</p>\(body)</section>"
    }

    /// Numbers worth a look first, with what they are.
    public static func tiles(_ tiles: [(number: String, name: String)]) -> String {
        let cards = tiles.map {
            "<div class=\"card tile\"><b>\($0.number)</b><span class=\"soft\">\($0.name)</span></div>"
        }
        return "<div class=\"tiles\">\(cards.joined())</div>"
    }

    /// A table of plain text.
    public static func table(_ titles: [String], _ rows: [[String]]) -> String {
        let line = { (cells: [String], tag: String) in
            "<tr>\(cells.map { "<\(tag)>\(htmlEscaped($0))</\(tag)>" }.joined())</tr>"
        }
        return "<div class=\"wide\"><table>\(line(titles, "th"))\(rows.map { line($0, "td") }.joined())</table></div>"
    }

    /// Cards side by side, where there is room.
    public static func grid(_ cards: [String]) -> String {
        "<div class=\"grid2\">\(cards.joined(separator: "\n"))</div>"
    }
}

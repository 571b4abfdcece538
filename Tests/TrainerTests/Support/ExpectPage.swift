import Testing

/// Expects a whole page that needs nothing else, of cards with some headings and no number that isn't one.
func expectPage(_ html: String, headings: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(html.hasPrefix("<!doctype html>") && html.hasSuffix("</html>\n"), sourceLocation: sourceLocation)
    for reference in ["src=", "href=", "url(", "@import"] {
        #expect(!html.contains(reference), "\(reference)", sourceLocation: sourceLocation)
    }
    #expect(!html.contains(">nan") && !html.contains(" nan"), sourceLocation: sourceLocation)
    for heading in headings {
        #expect(html.contains("<h2>\(heading)</h2>"), "\(heading)", sourceLocation: sourceLocation)
    }
}

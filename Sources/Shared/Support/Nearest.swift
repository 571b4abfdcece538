/// The candidate that `word` was most likely meant to be, if one is near enough to suggest.
public func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let ranked = candidates.map { (candidate: $0, distance: editDistance(word, $0)) }
    guard let best = ranked.min(by: { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }) else { return nil }
    return best.distance <= max(2, word.count / 3) ? best.candidate : nil
}

/// Levenshtein's distance: insertions, deletions and substitutions that turn one word into the other.
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in b.enumerated() {
            let substitution = diagonal + (letter == other ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substitution, min(row[j], diagonal) + 1)
        }
    }
    return row[b.count]
}

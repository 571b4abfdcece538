/// Records of several sources, drawn in given proportions.
///
/// The records of a source come in the order of their ranks, and the k-th of them, from 0, at the time (k + ½)/w by the
/// source's weight w. Those are drawn that come before a source with n records is used up, at n/w: so each gives what its
/// weight asks for to within half a record, and any first part of them has the proportions too (the method of Webster
/// and Sainte-Laguë). What is drawn of a source are always its first records by rank, so that one which was drawn only
/// makes way for a new one.
struct SourceWeights: Sendable {
    /// A file, or all files of a directory, by the name that the user gave.
    struct Source: Sendable {
        var name: String
        var weight: Double
    }

    var sources: [Source] = []
    /// The source of each file.
    var ofFile: [Int: Int] = [:]

    /// What a draw came to.
    struct Draw {
        /// The numbers of the records that can be drawn, in the order in which they are.
        var order: [Int] = []
        /// The source that is used up first.
        var scarce: Int
    }

    /// - Parameter files: The file of each record, in the order of ranks.
    func draw(_ files: [Int]) -> Draw {
        var counts = [Int](repeating: 0, count: sources.count)
        func time(_ source: Int, _ number: Int) -> Double { (Double(number) + 0.5) / sources[source].weight }
        var moments: [(time: Double, source: Int, index: Int)] = []
        for (index, file) in files.enumerated() {
            guard let source = ofFile[file] else { preconditionFailure("a file of no source") }
            moments.append((time(source, counts[source]), source, index))
            counts[source] += 1
        }
        let ends = counts.indices.map { (time: Double(counts[$0]) / sources[$0].weight, source: $0) }
        guard let end = ends.min(by: { ($0.time, $0.source) < ($1.time, $1.source) }) else { return Draw(scarce: 0) }
        let drawn = moments.filter { $0.time < end.time }.sorted { ($0.time, $0.source) < ($1.time, $1.source) }
        return Draw(order: drawn.map(\.index), scarce: end.source)
    }
}

/// Messages between the first rank and all ranks, itself among them, that are on their way while the ranks compute.
///
/// They go in rounds, which all ranks make equally many of, each when it suits it: in a round the first rank sends a letter
/// to every rank and gets one from each. A letter has a mark and as many words of the messages as fit; the others go in later
/// rounds. A rank that looks now and then whether its round has ended never waits for one that computes longer.
final class RankMail {
    /// What one rank has got from another in a round: its mark, and the messages that are whole now.
    struct Letter {
        let mark: Int32
        var messages: [ArraySlice<Int32>] = []
    }

    /// Words of a letter, at most.
    private let most: Int
    private let ranks: any Communicator
    /// Whom this rank writes to and hears from: all, or the first one.
    private let others: Range<Int>
    /// Words that are to be sent to each of them, and those of a message from it whose end hasn't come.
    ///
    /// A message's first word says how many follow.
    private var (outgoing, incoming): ([ArraySlice<Int32>], [ArraySlice<Int32>])
    /// Letters: mark, number of words, and these.
    private let (sent, received): (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>)
    private var round: (any PendingExchange)?

    /// - Parameter most: Words of a letter, at most: by itself as many as MPI sends without asking first, 4 kB. Letters are
    ///   sent whole, as the other side doesn't know how many words it will get.
    init(_ ranks: any Communicator, most: Int = 1000) {
        (self.ranks, self.most) = (ranks, most)
        others = ranks.rank == 0 ? 0..<ranks.size : 0..<1
        outgoing = Array(repeating: [], count: others.count)
        incoming = outgoing
        let words = others.count * (most + 2)
        (sent, received) = (.allocate(capacity: words), .allocate(capacity: words))
        sent.initialize(repeating: 0, count: words)
        received.initialize(repeating: 0, count: words)
    }

    /// A rank that throws with a round under way ends all of them; its memory stays with MPI until then.
    deinit {
        guard round == nil else { return }
        sent.deallocate()
        received.deallocate()
    }

    /// Adds a message to those that go to a rank.
    func add(_ message: [Int32], to rank: Int) {
        outgoing[rank].append(Int32(message.count))
        outgoing[rank] += message
    }

    var isUnderWay: Bool { round != nil }

    /// Begins a round, whose letters from this rank have this mark.
    func begin(mark: Int32) {
        precondition(round == nil)
        for rank in others {
            let (letter, count) = (sent + rank * (most + 2), min(most, outgoing[rank].count))
            (letter[0], letter[1]) = (mark, Int32(count))
            for (index, word) in outgoing[rank].prefix(count).enumerated() { letter[2 + index] = word }
            outgoing[rank].removeFirst(count)
        }
        let blocks = (0..<ranks.size).map { others ~= $0 ? $0 * (most + 2)..<($0 + 1) * (most + 2) : 0..<0 }
        round = ranks.startExchange(
            Exchange(send: sent, sendBlocks: blocks, receive: received, receiveBlocks: blocks))
    }

    /// Moves the round on, and tells whether it has ended.
    func hasEnded() -> Bool { round?.hasEnded() ?? true }

    /// Waits for the end of the round, and returns the letters that this rank has got, by rank.
    func end() -> [Letter] {
        round?.wait()
        round = nil
        return others.map { rank in
            let words = received + rank * (most + 2)
            var letter = Letter(mark: words[0])
            incoming[rank] += UnsafeBufferPointer(start: words + 2, count: Int(words[1]))
            while let count = incoming[rank].first.map(Int.init), incoming[rank].count > count {
                letter.messages.append(incoming[rank].dropFirst().prefix(count))
                incoming[rank].removeFirst(1 + count)
            }
            return letter
        }
    }
}

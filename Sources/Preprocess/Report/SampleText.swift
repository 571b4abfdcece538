import Shared

/// A sample's text, in pieces of which all tokens are supervised or none.
struct SampleText {
    var pieces: [(isSupervised: Bool, utf8: [UInt8])] = []

    init(_ sample: Sample, _ tokenizer: Tokenizer) throws {
        var position = 0
        while position < sample.inputIDs.count {
            let mark = sample.lossMask[position]
            let run = sample.lossMask[position...].prefix { $0 == mark }
            pieces.append((mark, try tokenizer.decode(sample.inputIDs[run.indices].lazy.map(Int.init))))
            position = run.endIndex
        }
    }
}

import Foundation
import Shared

@testable import Preprocess

/// A sample of a row's bytes as tokens, the assistant's supervised: what stands in for templates and tokenizers where
/// only the way of records through the pipeline is tested.
func makeByteSample(_ row: SourceRow) throws(Rejection) -> MadeRow {
    var sample = Sample(inputIDs: [], lossMask: [])
    switch row.content {
    case .preformatted(let text):
        sample = Sample(inputIDs: text.map(Int32.init), lossMask: text.map { $0 == UInt8(ascii: "a") })
    case .conversation(let conversation):
        for message in conversation.messages {
            sample.inputIDs += message.content.map(Int32.init) + [256]
            sample.lossMask += Array(repeating: message.role == .assistant, count: message.content.count + 1)
        }
    case .tokens(let given): sample = given
    }
    guard sample.lossMask.contains(true) else { throw Rejection(.tooFewLossTokens, "has none, should have 1") }
    return MadeRow(samples: [sample])
}

func bytePipeline(_ paths: [String], threads: Int = 2, blockSize: Int = 1 << 12) -> Pipeline {
    Pipeline(
        dataPaths: paths, isPreformatted: false, threads: threads, makeSampleMaker: { makeByteSample },
        blockSize: blockSize)
}

func byteManifest(_ paths: [String]) throws -> StoreManifest {
    var layout = StoreLayout()
    layout.groupTokens = 512
    layout.blockBytes = 2048
    layout.rankTokens = 4000
    return StoreManifest(
        files: try StoreLocation.files(paths), vocabSize: 257,
        specialTokens: [SpecialToken(.endOfTurn, "", id: 256)], layout: layout)
}

@discardableResult
func buildByteStore(_ path: String, _ paths: [String], threads: Int = 2, blockSize: Int = 1 << 12) throws
    -> StoreManifest
{
    let writer = try SampleStoreWriter(path: path, manifest: byteManifest(paths))
    return try bytePipeline(paths, threads: threads, blockSize: blockSize).run(into: writer)
}

/// Conversations with what real data has: odd beginnings, wrong orders, escapes, long and short ones.
func conversationLines(_ count: Int) -> [String] {
    (0..<count).map { i in
        let question =
            #"{"from": "human", "value": "Question \#(i): \"{[\\\" \u00e9 \#(String(repeating: "x", count: i * 37 % 300))"}"#
        let answer = #"{"from": "gpt", "value": "Answer \#(i * i) ]} 👍\n"}"#
        let messages =
            switch i % 10 {
            case 3: [answer, question, answer]
            case 5: [question, answer, answer]
            case 7: [question]
            case 8: [answer]
            default: [question, answer, question, answer]
            }
        return #"{"id": "row-\#(i)", "conversations": [\#(messages.joined(separator: ", "))]}"#
    }
}

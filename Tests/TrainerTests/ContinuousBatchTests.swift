import Shared
import Testing

@testable import Trainer

/// Batched decoding gives what decoding one sequence gives, whatever is decoded beside it.
struct ContinuousBatchTests {
    private static let longest = 80

    /// Records of ragged lengths, some of which are answered more than once.
    private static func records(_ golden: TargetGolden) -> [AnswerSequence.Record] {
        [1, 2, 17, 5, 30, 9, 23, 3, 12].enumerated().map { index, length in
            let first = index * 3 % (golden.ids.count - length)
            let ids = Array(golden.ids[first..<first + length])
            var mask = ids.map { _ in false }
            mask[length - 1] = true
            if length > 8, index.isMultiple(of: 2) { mask[length / 2] = true }
            let key = RecordKey(Digest(of: "record \(index)"))
            return AnswerSequence.Record(ticket: index, key: key, sample: Sample(inputIDs: ids, lossMask: mask))
        }
    }

    /// Twelve tokens for each answer, by these options.
    private static func sampling(_ options: [String]) throws -> SamplingOptions {
        try SamplingOptions.parse(["--max-new-tokens", "12"] + options)
    }

    /// The answers of all records, by ticket.
    private static func answers(
        _ golden: TargetGolden, tpSize: Int, sequences: Int, rows: Int, _ sampling: SamplingOptions,
        ends: Set<Int32> = [], history: AnswerHistory = .whole, threads: Int = 1,
        _ precision: MatrixPrecision = .float32
    ) throws -> [[AnswerSequence.FinishedAnswer]] {
        let all = try ThreadCommunicator.run(tpSize) { communicator in
            let compute = Compute(precision: precision, threads: threads, hasIndependentRows: true)
            let target = try golden.load(communicator, compute, positions: longest)
            let limits = AnswerSequence.Limits(sampling: sampling, endTokens: ends, longest: longest, history: history)
            let pages = sequences + 1
            let batch = ContinuousBatch(
                target, .init(sequences: sequences, rows: rows, pages: pages), limits, in: Workspace(compute))
            var answers = records(golden).map { _ in [AnswerSequence.FinishedAnswer]() }
            for record in records(golden) { batch.add(record) }
            while !batch.isIdle {
                for sequence in batch.step() { answers[sequence.record.ticket] = sequence.answers }
                #expect(batch.pagesInUse <= pages)
            }
            #expect(batch.pagesInUse == 0)
            return answers
        }
        for other in all.dropFirst() { #expect(other == all[0]) }
        return all[0]
    }

    /// A record whose logits are no numbers ends as a failure, and the others with their answers.
    @Test func aRecordOfNaNFails() throws {
        let golden = try TargetGolden("llama")
        let records = Self.records(golden)
        let compute = Compute(precision: .float32, threads: 1, hasIndependentRows: true)
        let target = try golden.load(AbsentRanks(), compute, positions: Self.longest)
        let token = try #require(records.first?.sample.inputIDs.first)
        target.embedding.weight[rows: Int(token)..<Int(token) + 1].fill(.nan)
        let sampling = try SamplingOptions.parse(["--max-new-tokens", "4"])
        let limits = AnswerSequence.Limits(sampling: sampling, endTokens: [], longest: Self.longest, history: .whole)
        let batch = ContinuousBatch(
            target, .init(sequences: 3, rows: 8, pages: 4), limits, in: Workspace(compute))
        for record in records { batch.add(record) }
        var failed: [Int: Bool] = [:]
        while !batch.isIdle {
            for sequence in batch.step() {
                failed[sequence.record.ticket] = sequence.hasFailed
                if sequence.hasFailed {
                    #expect(AnswerDesk.message(sequence) == [Int32(sequence.record.ticket), -1])
                }
            }
        }
        #expect(failed.count == records.count && batch.pagesInUse == 0)
        for record in records {
            let mark = record.sample.lossMask.firstIndex(of: true) ?? 0
            if record.sample.inputIDs[...mark].contains(token) { #expect(failed[record.ticket] == true) }
        }
        #expect(failed[0] == true)
    }

    /// What decoding one sequence with a cache of its own gives: no other code path computes the same.
    private static func alone(
        _ golden: TargetGolden, _ sampling: SamplingOptions, ends: Set<Int32>, history: AnswerHistory = .whole
    ) throws -> [[AnswerSequence.FinishedAnswer]] {
        let model = try golden.load(AbsentRanks(), positions: longest)
        let target = TargetDecoder(model, targetLayers: [0], capacity: longest, workspace: Workspace())
        return records(golden).map { record in
            var (past, prompt, answers) = ([Int32](), [Int32](), [AnswerSequence.FinishedAnswer]())
            for (token, isMark) in zip(record.sample.inputIDs, record.sample.lossMask) {
                prompt.append(token)
                guard isMark,
                    answers.allSatisfy({
                        $0.isFinished && history.answer($0.tokens, isFinished: true).count > 1
                    })
                else { continue }
                let tokens = SpeculativeDecoding.plain(
                    target, prompt: past + prompt, limit: sampling.maxNewTokens, endTokens: ends
                ).tokens
                answers.append(.init(tokens: tokens, isFinished: ends.contains(tokens[tokens.count - 1])))
                past +=
                    history.prompt(prompt[...]) + history.answer(tokens, isFinished: answers.last?.isFinished ?? false)
                prompt = []
            }
            return answers
        }
    }

    @Test(arguments: TargetGolden.familiesAndPackedOnes, [1, 2])
    func greedyAnswersAreThoseOfDecodingAlone(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        // Ends that come now and then, so that places are taken again and conversations go on.
        let vocabSize = Int32(try golden.description.vocabSize)
        let ends = Set((0..<vocabSize).filter { $0 % 7 == 3 })
        let expected = try Self.alone(golden, Self.sampling(["--temperature=0"]), ends: ends)
        for (sequences, rows) in [(1, 1), (3, 5), (16, 64)] {
            let found = try Self.answers(
                golden, tpSize: tpSize, sequences: sequences, rows: rows, Self.sampling(["--temperature=0"]), ends: ends
            )
            #expect(found == expected, "\(sequences) sequences, \(rows) rows")
        }
    }

    /// Where something of a turn doesn't stay, the next answer is what the target gives that never read it: with caches that
    /// go back a few positions and with states, which begin again.
    @Test(arguments: ["llama", "qwen3.5", "gpt-oss", "lfm2", "deepseek-v3", "nemotron-h"], [1, 2])
    func whatDoesNotStayIsNotReadAgain(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        let vocabSize = Int32(try golden.description.vocabSize)
        let ends = Set((0..<vocabSize).filter { $0 % 7 == 3 })
        let sampling = try Self.sampling(["--temperature=0"])
        let plain = try Self.alone(golden, sampling, ends: ends)
        // Thoughts end where an answer that others follow has its second token, if there is such an answer.
        let continued = plain.filter { $0.count > 1 }.map { $0[0].tokens }
        let end = (continued.first { $0.count > 3 } ?? continued.first)?[1] ?? 0
        let thoughts = AnswerHistory.Thoughts(start: vocabSize - 1, end: end, space: [], isOpen: false)
        let variants: [(inserted: [Int32], thoughts: AnswerHistory.Thoughts?)] = [
            ([1, 2], nil), ([], thoughts), ([4], thoughts),
        ]
        for (inserted, thoughts) in variants {
            let history = AnswerHistory(removed: [], inserted: inserted, thoughts: thoughts, includesLast: false)
            let expected = try Self.alone(golden, sampling, ends: ends, history: history)
            for (sequences, rows) in [(1, 1), (3, 5), (16, 64)] {
                let found = try Self.answers(
                    golden, tpSize: tpSize, sequences: sequences, rows: rows, sampling, ends: ends, history: history)
                #expect(found == expected, "\(sequences) sequences, \(rows) rows, \(history)")
            }
        }
    }

    /// Records are written as history is, and the last turn as the target read it, unless nothing of thoughts is to stay.
    @Test func recordsHaveOfThoughtsWhatIsToStay() {
        let (open, close, end) = (Int32(90), Int32(91), Int32(99))
        let thoughts = AnswerHistory.Thoughts(start: open, end: close, space: [50], isOpen: true)
        let sample = Sample(
            inputIDs: [1, 2, open, 3, 4, open], lossMask: [false, false, true, false, false, true])
        let answers: [AnswerSequence.FinishedAnswer] = [
            .init(tokens: [7, close, 50, 8, end], isFinished: true),
            .init(tokens: [7, close, 9, 50, 9], isFinished: false),
        ]
        func written(_ includesLast: Bool) -> Sample {
            sample.answered(
                by: answers,
                AnswerHistory(removed: [open], inserted: [], thoughts: thoughts, includesLast: includesLast))
        }
        let (no, yes) = (false, true)
        #expect(
            written(true)
                == Sample(
                    inputIDs: [1, 2, 8, end, 3, 4, 9, 50, 9], lossMask: [no, no, yes, yes, no, no, yes, yes, yes]))
        #expect(
            written(false)
                == Sample(
                    inputIDs: [1, 2, 8, end, 3, 4, open, 9, 50, 9],
                    lossMask: [no, no, yes, yes, no, no, no, yes, yes, yes]))
        #expect(
            sample.answered(by: answers, .whole)
                == Sample(
                    inputIDs: [1, 2, open, 7, close, 50, 8, end, 3, 4, open, 7, close, 9, 50, 9],
                    lossMask: [no, no, no] + [Bool](repeating: yes, count: 5) + [no, no, no]
                        + [Bool](repeating: yes, count: 5)))
    }

    @Test(arguments: [
        "llama", "qwen3.5", "gpt-oss", "gemma3-text", "deepseek-v3", "gguf/llama", "gguf/qwen35moe", "gguf/gpt-oss",
    ])
    func sampledAnswersDependOnNothingButTheSeed(family: String) throws {
        let golden = try TargetGolden(family)
        let options = ["--temperature=1.5", "--top-p=0.95", "--top-k=40", "--repetition-penalty=1.1"]
        let sampling = try Self.sampling(options)
        let one = try Self.answers(golden, tpSize: 1, sequences: 1, rows: 1, sampling)
        for (sequences, rows, threads) in [(2, 7, 2), (16, 64, 1), (9, 9, 3)] {
            #expect(
                try Self.answers(golden, tpSize: 1, sequences: sequences, rows: rows, sampling, threads: threads)
                    == one)
        }
        #expect(try Self.answers(golden, tpSize: 2, sequences: 5, rows: 11, sampling) == one, "by two ranks")
        let other = try Self.sampling(options + ["--seed=1"])
        #expect(try Self.answers(golden, tpSize: 1, sequences: 4, rows: 8, other) != one)
    }

    @Test(.needsBFloat16, arguments: TargetGolden.familiesAndPackedOnes)
    func inBFloat16NothingDependsOnTheBatchEither(family: String) throws {
        let golden = try TargetGolden(family)
        let sampling = try Self.sampling(["--temperature=1"])
        let one = try Self.answers(golden, tpSize: 1, sequences: 1, rows: 1, sampling, .bfloat16)
        for (sequences, rows) in [(3, 5), (16, 64)] {
            #expect(
                try Self.answers(golden, tpSize: 1, sequences: sequences, rows: rows, sampling, .bfloat16) == one)
        }
    }
}

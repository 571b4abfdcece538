import Shared
import TestSupport
import Testing

@testable import Trainer

struct BestDraftTests {
    @Test func followsTheAcceptanceLengthAndCountsEvaluationsSince() {
        var best = BestDraft()
        let isBest = [1.2, 1.5, 1.5, 1.4, 1.6].enumerated().map { best.note($1, .measured, step: $0) }
        #expect(isBest == [true, true, false, false, true])
        #expect(best.acceptanceLength == 1.6 && best.step == 4 && best.evaluationsSince == 0)
        _ = best.note(1.1, .measured, step: 9)
        #expect(best.evaluationsSince == 1 && best.description == "1.600 measured at step 4")
    }

    /// A simulated length is another number than a measured one: the better of them isn't the better draft.
    @Test func lengthsOfAnotherSourceBeginAnew() {
        var best = BestDraft()
        _ = best.note(3, .simulated, step: 1)
        #expect(best.note(1.2, .measured, step: 2) && best.step == 2)
    }

    @Test func aCheckpointKeepsItAndRefusesAnotherFormat() throws {
        let scratch = try ScratchDirectory()
        var best = BestDraft()
        _ = best.note(1.5, .measured, step: 3)
        _ = best.note(1.25, .measured, step: 6)
        let state = CheckpointState(step: 6, epoch: 0, updates: 6, best: best, settings: [:], provenance: [:])
        for format in [1, 2, 3] {
            let text = state.json(digests: [:]).compact.replacing("\"format\":2", with: "\"format\":\(format)")
            _ = try scratch.write(CheckpointState.fileName, text)
            if format == CheckpointState.format {
                #expect(try CheckpointState.read(scratch.path).state == state)
            } else {
                #expect(throws: JSONError.self) { try CheckpointState.read(scratch.path) }
            }
        }
    }
}

struct DecodingStatisticsTests {
    private static func statistics(_ accepted: [Int], length: Int = 100) -> SpeculativeDecoding.Statistics {
        var statistics = SpeculativeDecoding.Statistics(draftLength: 3)
        for count in accepted { statistics.add(drafted: 3, kept: count + 1, length: length) }
        return statistics
    }

    @Test func positionsCountWholePrefixes() {
        let statistics = Self.statistics([0, 1, 3, 0])
        #expect(statistics.acceptedAtShares == [0.5, 0.25, 0.25] && statistics.acceptedPerVerification == 1)
        #expect(statistics.acceptedAtShares.reduce(0, +) == statistics.acceptedPerVerification)
        #expect(statistics.conditionalShares == [0.5, 0.5, 1] && statistics.tokens == 8 && statistics.drafted == 12)
    }

    @Test func sumsAreThoseOfAllVerifications() {
        var sum = Self.statistics([0, 1])
        sum.add(Self.statistics([3, 0]))
        #expect(sum == Self.statistics([0, 1, 3, 0]))
    }

    @Test func lengthsFallIntoBucketsThatDouble() {
        let buckets = [1, 127, 128, 255, 256, 8191, 8192, 1_000_000].map(SpeculativeDecoding.Statistics.Bucket.index)
        #expect(buckets == [0, 0, 1, 1, 2, 6, 7, 7])
        #expect(
            [0, 1, 2, 7].map(SpeculativeDecoding.Statistics.Bucket.name)
                == ["below 128", "128 to 255", "256 to 511", "8192 and more"])
        #expect(Self.statistics([1, 2], length: 300).byLength[2].acceptanceLength == 2.5)
    }

    /// Drafting 1 costs 1.2 plain steps and gives 1.5 tokens; drafting 2 costs 1.8 and gives 1.7.
    @Test func draftingPaysAboveTheCostOfAVerification() {
        let estimates = DraftingCosts(plain: 10, verifications: [12, 18]).estimates(acceptedAt: [0.5, 0.2])
        #expect(estimates.map(\.draftLength) == [1, 2] && estimates.map(\.breakEven) == [1.2, 1.8])
        #expect(estimates.map { fixed($0.speedup, 3) } == ["1.250", "0.944"])
    }

    @Test func ranksAddUpWhatTheirGroupsDecoded() throws {
        let results = try ThreadCommunicator.run(4) { world in
            let grid = try ProcessGrid(world: world, tpSize: 2)
            var own = DecodingResult(draftLength: 3, prompts: 2)
            let group = world.rank / 2
            own.statistics = Self.statistics(group == 0 ? [0, 1] : [3, 0])
            own.prompts[group] = DecodingResult.Prompt(
                sample: 10 + group, promptTokens: 5, tokens: 9, verifications: 2, accepted: group, seconds: 0.5,
                plainSeconds: 2, differs: group == 1)
            return own.reduced(over: grid)
        }
        for result in results {
            #expect(result.statistics == Self.statistics([0, 1, 3, 0]) && result.differing == [11])
            #expect(result.decoded.map(\.sample) == [10, 11] && result.plainTokensPerSecond == 4)
        }
    }
}

struct HeldOutOverlapTests {
    private static func sample(_ ids: [Int32], prompt: Int) -> Sample {
        Sample(inputIDs: ids, lossMask: ids.indices.map { $0 >= prompt })
    }

    @Test func findsPromptsThatAreTrainedOnAndNoOthers() throws {
        let training = [Self.sample([1, 2, 3, 4], prompt: 2), Self.sample([5, 6, 7], prompt: 1)]
        let heldOut = [
            Self.sample([1, 2, 9], prompt: 2), Self.sample([1, 2, 3, 9], prompt: 3), Self.sample([5, 8], prompt: 1),
            Self.sample([7, 7], prompt: 0), Self.sample([1, 2, 8, 8], prompt: 2),
        ]
        #expect(try HeldOutOverlap.find(heldOut, in: training) == [0, 2, 4])
        #expect(try HeldOutOverlap.find(training, in: []).isEmpty)
    }
}

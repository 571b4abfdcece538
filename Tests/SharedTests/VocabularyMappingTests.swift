import Testing

@testable import Shared

struct VocabularyMappingTests {
    // Token:                       0  1  2  3  4  5  6  7  8  9
    private let counts: [UInt64] = [0, 5, 3, 0, 3, 9, 0, 3, 0, 1]

    @Test func takesTheMostFrequentAndSortsThem() throws {
        let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: 2, always: [])
        #expect(mapping.draftToTarget == [1, 5])
        #expect(mapping.coverage == 14.0 / 24.0)
    }

    @Test func breaksTiesByTheLowerID() throws {
        #expect(try VocabularyMapping.derive(counts: counts, draftVocabSize: 3, always: []).draftToTarget == [1, 2, 5])
        #expect(
            try VocabularyMapping.derive(counts: counts, draftVocabSize: 4, always: []).draftToTarget == [1, 2, 4, 5])
    }

    @Test func fillsWithUnseenTokensFromTheLowest() throws {
        let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: 8, always: [])
        #expect(mapping.draftToTarget == [0, 1, 2, 3, 4, 5, 7, 9])
        #expect(mapping.coverage == 1)
    }

    @Test func alwaysHasTheForcedTokens() throws {
        let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: 3, always: [8, 9, 8])
        #expect(mapping.draftToTarget == [5, 8, 9])
        #expect(throws: VocabularyError.self) {
            try VocabularyMapping.derive(counts: counts, draftVocabSize: 1, always: [8, 9])
        }
        #expect(throws: VocabularyError.self) {
            try VocabularyMapping.derive(counts: counts, draftVocabSize: 3, always: [10])
        }
    }

    @Test func givesTheCheckpointsTables() throws {
        let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: 4, always: [])
        #expect(mapping.draftToTargetOffsets == [1, 1, 2, 2])
        #expect(mapping.targetHasDraft == [false, true, true, false, true, true, false, false, false, false])
        #expect((0..<10).map { mapping.targetToDraft($0) } == [nil, 0, 1, nil, 2, 3, nil, nil, nil, nil])
    }

    @Test func isTheIdentityForTheWholeVocabulary() throws {
        let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: 10, always: [3])
        #expect(mapping.draftToTarget == Array(0..<10))
        #expect(mapping.draftToTargetOffsets.allSatisfy { $0 == 0 })
    }

    @Test func refusesADraftLargerThanTheTarget() {
        #expect {
            try VocabularyMapping.derive(counts: counts, draftVocabSize: 11, always: [])
        } throws: {
            "\($0)" == "draft vocabulary size 11 is larger than the target's vocabulary, 10"
        }
    }
}

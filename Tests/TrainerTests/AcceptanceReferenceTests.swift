import Shared
import TestSupport
import Testing

@testable import Trainer

/// What is kept of a draft's acceptance tells later whether something has changed.
struct AcceptanceReferenceTests {
    private static func reference(
        _ acceptedAt: [Double] = [0.5, 0.2, 0.1], prompts: Int? = 4, weights: String? = "ab"
    ) -> AcceptanceReference {
        AcceptanceReference(
            promptsDigest: AcceptanceReference.digest(ofPrompts: [[1, 2], [3]]), samples: 9, prompts: prompts,
            newTokens: 96, draftLength: acceptedAt.count, verifications: 100, acceptedAt: acceptedAt,
            products: "float32", weights: weights)
    }

    @Test(arguments: [nil, 4], [nil, "ab"])
    func itIsReadAsItWasWritten(prompts: Int?, weights: String?) throws {
        let reference = Self.reference(prompts: prompts, weights: weights)
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/\(AcceptanceReference.fileName)", reference.json.pretty.utf8)
            #expect(try AcceptanceReference(draft: directory) == reference)
        }
    }

    @Test(arguments: [
        ("accepted_at", JSONText.array([.number(0.5)])), ("draft_length", .int(0)), ("draft_length", .int(1 << 20)),
        ("samples", .int(0)), ("samples", .int(.max)), ("prompts", .int(-1)), ("max_new_tokens", .int(0)),
        ("max_new_tokens", .int(.max)), ("prompts_digest", .null),
    ])
    func whatIsNoReferenceIsRefused(key: String, value: JSONText) throws {
        try withTemporaryDirectory { directory in
            let json = Self.reference().json.setting(key, value)
            try writeFile("\(directory)/\(AcceptanceReference.fileName)", json.pretty.utf8)
            #expect(throws: JSONError.self) { try AcceptanceReference(draft: directory) }
        }
    }

    /// 0.8 are accepted: 3% of it are 0.024.
    @Test(arguments: [
        ([0.5, 0.2, 0.1], true), ([0.51, 0.21, 0.1], true), ([0.53, 0.2, 0.1], false), ([0.47, 0.2, 0.1], false),
        // As many in all, but elsewhere.
        ([0.525, 0.175, 0.1], false), ([0.51, 0.19, 0.1], true), ([0, 0, 0], false),
    ])
    func acceptanceThatDiffersIsFoundInAllAndByPosition(acceptedAt: [Double], isSame: Bool) {
        let difference = Self.reference().difference(from: Self.reference(acceptedAt), tolerance: 0.03)
        #expect((difference == nil) == isSame, "\(difference ?? "the same")")
    }

    @Test func promptsAreToldApart() {
        let digests =
            ([[[1, 2], [3]], [[1], [2, 3]], [[1, 2, 3]], [[12], [3]], [[1, 2], [3], []], [[3], [1, 2]]] as [[[Int32]]])
            .map { AcceptanceReference.digest(ofPrompts: $0) }
        #expect(Set(digests).count == digests.count)
    }
}

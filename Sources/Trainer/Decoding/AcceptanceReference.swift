import Shared

/// What a draft accepted on some prompts, beside its weights, so that a later measurement can tell whether the draft, the
/// target or an engine has changed.
///
/// It depends on no engine: greedy decoding of the same prompts, with as many tokens drafted, accepts the same but for near
/// ties that rounding decides.
struct AcceptanceReference: Equatable {
    static let fileName = "acceptance.json"

    /// Of the decoded prompts' tokens, in their order.
    let promptsDigest: String
    /// The first samples of the data, and how many of their prompts, evenly apart, were decoded; nil for all.
    let samples: Int
    let prompts: Int?
    let newTokens: Int
    let draftLength: Int
    let verifications: Int
    /// Share of verifications in which the token at each position and all before it were accepted.
    let acceptedAt: [Double]
    /// What multiplied, as the log says.
    let products: String
    /// The digest of `model.safetensors`; nil for weights in several files.
    var weights: String?

    var acceptedPerVerification: Double { acceptedAt.reduce(0, +) }

    /// The digest of a draft's weights; nil if they are in several files.
    static func weights(of directory: String) throws -> String? {
        let path = "\(directory)/model.safetensors"
        return fileExists(path) ? try Digest(ofFile: path).hex : nil
    }

    /// The digest of prompts, each as its tokens' ids with commas between them and a line feed after them.
    static func digest(ofPrompts prompts: some Sequence<[Int32]>) -> String {
        let stream = DigestStream()
        for prompt in prompts {
            let line = Array((prompt.map(String.init).joined(separator: ",") + "\n").utf8)
            line.withUnsafeBytes(stream.add)
        }
        return stream.digest.hex
    }

    /// Where acceptance differs by more than a share of what is accepted, in words; nil if it doesn't.
    ///
    /// Positions count too: what is lost at one may be won at another.
    func difference(from found: AcceptanceReference, tolerance: Double) -> String? {
        let wanted = acceptedPerVerification
        let pairs =
            [("accepted tokens a verification", wanted, found.acceptedPerVerification)]
            + acceptedAt.indices.map {
                ("share accepted at position \($0 + 1)", acceptedAt[$0], found.acceptedAt[$0])
            }
        let beyond = pairs.filter { abs($0.2 - $0.1) > tolerance * wanted }
        guard let (name, reference, measured) = beyond.first else { return nil }
        return "\(name): \(fixed(measured, 4)), should be \(fixed(reference, 4)) as \(Self.fileName) says, within "
            + "\(fixed(100 * tolerance, 1))% of what it accepts"
    }
}

extension AcceptanceReference {
    /// - Throws: `JSONError` if the draft's directory has none, or it isn't one.
    init(draft directory: String) throws {
        let file = try JSONFile("\(directory)/\(Self.fileName)")
        let root = file.root
        promptsDigest = try root.string("prompts_digest")
        samples = try root.int("samples")
        prompts = try root["prompts"]?.asInt()
        newTokens = try root.int("max_new_tokens")
        draftLength = try root.int("draft_length")
        verifications = try root.int("verifications")
        let shares = try root.required("accepted_at")
        acceptedAt = try shares.asArray().map { element throws(JSONError) in try element.asDouble() }
        products = try root.string("products")
        weights = try root["weights"]?.asString()
        guard 1...1 << 40 ~= samples, 1...1 << 40 ~= prompts ?? 1, 2...1 << 20 ~= newTokens,
            1...SpeculativeDecoding.longestDraft ~= draftLength, acceptedAt.count == draftLength
        else { throw shares.error("should have a share for each of draft_length tokens, of some samples' prompts") }
    }

    var json: JSONText {
        .object([
            ("prompts_digest", .string(promptsDigest)), ("samples", .int(samples)),
            ("prompts", prompts.map(JSONText.int) ?? .null), ("max_new_tokens", .int(newTokens)),
            ("draft_length", .int(draftLength)), ("verifications", .int(verifications)),
            ("accepted_per_verification", .number(acceptedPerVerification)), ("accepted_at", .numbers(acceptedAt)),
            ("products", .string(products)), ("weights", weights.map(JSONText.string) ?? .null),
        ])
    }
}

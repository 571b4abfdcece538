import Shared

/// What is done to the text between added tokens before it is split: `normalizer` of tokenizer.json.
enum Normalizer: Sendable {
    case unicode(UnicodeNormalization)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case prepend([UInt8])
    case replace(TextReplacement)

    static let supported = [
        "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip", "Prepend", "Replace", "Sequence",
    ]

    /// The steps in order, sequences laid out flat.
    static func load(_ node: JSONNode) throws(JSONError) -> [Normalizer] {
        let type = try node.string("type")
        if let form = UnicodeNormalization(rawValue: type) { return [.unicode(form)] }
        switch type {
        case "Lowercase": return [.lowercase]
        case "StripAccents": return [.stripAccents]
        case "Strip":
            return [.strip(left: try node.bool("strip_left"), right: try node.bool("strip_right"))]
        case "Prepend": return [.prepend(Array(try node.string("prepend").utf8))]
        case "Replace": return [.replace(try TextReplacement(node))]
        case "Sequence":
            var steps: [Normalizer] = []
            for step in try node.required("normalizers").elements { steps += try load(step) }
            return try node.bounded(steps)
        default: throw try node.unsupportedType(supported: supported)
        }
    }

    /// Writes the normalized text.
    ///
    /// - Returns: false where the text stays as it is; nothing is written then.
    func rewrite(_ text: AlignedView, into result: AlignedText, with matcher: Matcher) throws(PatternError) -> Bool {
        switch self {
        case .unicode(let form): return form.rewrite(text, into: result)
        case .replace(let replacement): return try replacement.rewrite(text, into: result, with: matcher)
        case .prepend(let prefix):
            guard !text.range.isEmpty else { return false }
            result.append(prefix, origin: text.origin(text.range.lowerBound))
            result.append(text, text.range)
            return true
        case .strip(let left, let right):
            let kept = Self.stripped(text, left: left, right: right)
            guard kept != text.range else { return false }
            result.append(text, kept)
            return true
        case .lowercase: return Self.mapScalars(text, into: result, Self.lowercased)
        case .stripAccents: return Self.mapScalars(text, into: result) { ScalarKind.mark.contains($0) ? [] : nil }
        }
    }

    private static func lowercased(_ scalar: Unicode.Scalar) -> [UInt8]? {
        guard scalar.properties.changesWhenLowercased else { return nil }
        return Array(scalar.properties.lowercaseMapping.utf8)
    }

    private static func stripped(_ text: AlignedView, left: Bool, right: Bool) -> Range<Int> {
        let bytes = text.bytes
        var (start, end) = (0, bytes.count)
        while left, start < end, let scalar = bytes.scalar(at: start), scalar.properties.isWhitespace {
            start += scalar.utf8.count
        }
        while right, start < end, let scalar = bytes.scalar(before: end), scalar.properties.isWhitespace {
            end -= scalar.utf8.count
        }
        return text.range.lowerBound + start..<text.range.lowerBound + end
    }

    /// Writes the text with each scalar as `map` gives it; nil leaves the scalar alone.
    private static func mapScalars(
        _ text: AlignedView, into result: AlignedText, _ map: (Unicode.Scalar) -> [UInt8]?
    ) -> Bool {
        let bytes = text.bytes
        let offset = text.range.lowerBound
        var done = 0
        var i = 0
        while let scalar = bytes.scalar(at: i) {
            let end = i + scalar.utf8.count
            if let mapped = map(scalar) {
                result.append(text, offset + done..<offset + i)
                result.append(mapped, origin: text.origin(offset + i..<offset + end))
                done = end
            }
            i = end
        }
        guard done > 0 else { return false }
        result.append(text, offset + done..<text.range.upperBound)
        return true
    }
}

/// One thread's scratch for the steps of normalization.
final class NormalizerScratch {
    private var current = AlignedText()
    private var spare = AlignedText()

    /// What the steps make of `text`, valid until the next call.
    func normalize(
        _ text: AlignedView, _ steps: [Normalizer], with matcher: Matcher
    ) throws(PatternError) -> AlignedView {
        let limit = AlignedText.limit(of: text)
        var text = text
        for step in steps {
            spare.removeAll(limit: limit)
            guard try step.rewrite(text, into: spare, with: matcher) else { continue }
            try spare.checkLimit()
            swap(&current, &spare)
            text = current.view
        }
        return text
    }
}

extension JSONNode {
    /// The error that a component's type is unknown, by its name.
    func unsupportedType(supported: [String]) throws(JSONError) -> JSONError {
        let type = try required("type")
        return type.error("'\(try type.asString())' is not supported; supported: \(supported.joined(separator: ", "))")
    }

    /// Steps that each go over the whole text: not more than any tokenizer has.
    func bounded<Step>(_ steps: [Step]) throws(JSONError) -> [Step] {
        guard steps.count <= 64 else { throw error("has \(steps.count) steps, at most 64 are supported") }
        return steps
    }

    /// The error that a setting has a value which Eyrie doesn't do.
    func unsupported(_ key: String, _ value: String, supported: String) throws(JSONError) -> JSONError {
        try required(key).error("\(value) is not supported; supported: \(supported)")
    }
}

import Shared

/// What is done to the text between added tokens before it is split: `normalizer` of tokenizer.json.
///
/// One case a kind; a kind's work is in a file of its own.
enum Normalizer: Sendable {
    case nfc

    static let supported = ["NFC", "Sequence"]

    /// The steps in order, sequences laid out flat.
    static func load(_ node: JSONNode) throws(JSONError) -> [Normalizer] {
        switch try node.string("type") {
        case "NFC": return [.nfc]
        case "Sequence":
            var steps: [Normalizer] = []
            for step in try node.required("normalizers").elements { steps += try load(step) }
            return steps
        default: throw try node.unsupportedType(supported: supported)
        }
    }
}

extension JSONNode {
    /// The error that a component's type is unknown, by its name.
    func unsupportedType(supported: [String]) throws(JSONError) -> JSONError {
        let type = try required("type")
        return type.error("'\(try type.asString())' is not supported; supported: \(supported.joined(separator: ", "))")
    }

    /// The error that a setting has a value which Eyrie doesn't do.
    func unsupported(_ key: String, _ value: String, supported: String) throws(JSONError) -> JSONError {
        try required(key).error("\(value) is not supported; supported: \(supported)")
    }
}

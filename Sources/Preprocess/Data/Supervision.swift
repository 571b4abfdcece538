import Shared

/// Which answers are supervised: `weight`, `train`, `training` or `loss` of a message, and
/// `loss_weight` of a row.
///
/// As OpenAI's fine-tuning, mistral-finetune, axolotl and ms-swift write them: 0 or false is not supervised, 1 or true is.
/// Every supervised token counts the same here, so that any other number is refused rather than rounded.
enum Supervision {
    /// Keys of a message, each of which may stand alone.
    static let messageKeys = ["weight", "train", "training", "loss", "loss_weight"]
    static let rowKey = "loss_weight"
    /// Keys by which axolotl marks parts of a message.
    static let detailKeys = ["train_detail", "training_detail"]

    /// Whether a message is supervised, if its role is; true without any of the keys.
    static func ofMessage(_ message: JSONValue, at index: Int) throws(Rejection) -> Bool {
        for key in detailKeys where message.value(key) != nil {
            throw Rejection(
                .unsupportedContent,
                "message \(index) has '\(key)', which marks parts of it; only whole messages can be "
                    + "left out of the loss")
        }
        var found: (key: String, isSupervised: Bool)?
        for key in messageKeys {
            guard let isSupervised = try mark(message, key, "message \(index)") else { continue }
            if let found, found.isSupervised != isSupervised {
                throw Rejection(
                    .unsupportedContent, "message \(index) has '\(found.key)' and '\(key)', which contradict each other"
                )
            }
            found = (key, isSupervised)
        }
        return found?.isSupervised ?? true
    }

    /// Whether anything of a row is supervised.
    static func ofRow(_ row: JSONValue) throws(Rejection) -> Bool { try mark(row, rowKey, "the row") ?? true }

    private static func mark(_ value: JSONValue, _ key: String, _ owner: String) throws(Rejection) -> Bool? {
        guard let weight = value.value(key) else { return nil }
        switch weight.bool.map({ $0 ? 1 : 0 }) ?? weight.double {
        case 0: return false
        case 1: return true
        case let number?:
            throw Rejection(
                .unsupportedContent,
                "\(owner) has '\(key)' \(shortest(number)); weights other than 0 and 1 can't be used")
        case nil:
            throw Rejection(
                .unsupportedContent,
                "\(owner) has a '\(key)' that is \(weight.kind.withArticle), should be 0, 1, true or "
                    + "false")
        }
    }

    private static func shortest(_ number: Double) -> String {
        Int(exactly: number).map { "\($0)" } ?? "\(number)"
    }
}

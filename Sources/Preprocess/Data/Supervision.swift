import Shared

/// Which answers are supervised: `weight`, `train`, `training` or `loss` of a message, and
/// `loss_weight` of a row.
///
/// As OpenAI's fine-tuning, mistral-finetune, axolotl and ms-swift write them: 0 or false is not supervised, 1 or true is.
/// Every supervised token counts the same here, so that any other number is refused rather than rounded. A row of which
/// `weight`, `sample_weight` or `train` is 0 or false isn't meant to be trained on either, be that a weight of its loss or of
/// how often it is drawn.
enum Supervision {
    /// Keys of a message, each of which may stand alone.
    static let messageKeys = ["weight", "train", "training", "trainable", "loss", "loss_weight"]
    static let rowKey = "loss_weight"
    /// Keys of a row of which only 0 and false count.
    static let rowSwitches = ["weight", "sample_weight", "train"]
    /// Keys by which axolotl marks parts of a message, and masks, which some datasets have for what is trained on and
    /// others for what isn't.
    static let detailKeys = ["train_detail", "training_detail", "mask", "loss_mask"]
    /// LLaMA-Factory's and TRL's names for whether an answer is wanted.
    static let preferenceKeys = ["kto_tag", "label"]

    /// Whether a message is supervised, if its role is; true without any of the keys.
    static func ofMessage(_ message: JSONValue, at index: Int) throws(Rejection) -> Bool {
        for key in detailKeys where message.value(key) != nil {
            throw Rejection(
                .unsupportedContent,
                "message \(index) has '\(key)', which can't be used: only whole messages can be left out of the loss, "
                    + "by '\(messageKeys[0])' 0")
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
    ///
    /// - Throws: `Rejection` for a weight that can't be used, and for an answer of preference data that isn't wanted.
    static func ofRow(_ row: JSONValue) throws(Rejection) -> Bool {
        let isPreference = row.value("kto_tag") != nil || (row.value("prompt") != nil && row.value("completion") != nil)
        for key in preferenceKeys where isPreference && row.value(key)?.bool == false {
            throw Rejection(.unsupportedContent, "'\(key)' is false: its answer isn't one to learn")
        }
        let isSupervised = try mark(row, rowKey, "the row") ?? true
        return isSupervised && rowSwitches.allSatisfy { key in row.value(key).map(isOn) ?? true }
    }

    private static func isOn(_ value: JSONValue) -> Bool { value.bool ?? (value.double != 0) }

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

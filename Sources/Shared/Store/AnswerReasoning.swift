/// What becomes of a target's thoughts where it answers a dataset: by a server and in this machine's memory alike.
public enum AnswerReasoning: String, CaseIterable, OptionValue {
    /// They stay in what is written, and in the history of further answers as far as the template shows them there.
    case save
    /// They are thought, and left out of both.
    case strip
    /// The template is told not to ask for any; what is thought all the same is left out.
    case off

    /// The variables by which templates are told not to ask for thoughts, each by false.
    public static let switches = ["enable_thinking", "thinking"]

    /// Whether thoughts stay in what is written.
    public var keepsThoughts: Bool { self == .save }
}

@preconcurrency import Glibc
import Shared

/// What a template is rendered with besides the conversation.
struct RenderSettings: Sendable {
    /// What `strftime_now` writes where no date is given: that of Llama's templates, so that the text doesn't depend on
    /// the day on which it is made.
    static let defaultDate = ChatTemplateOptions.defaultDate

    /// The variable `date_string`; nil where none is given, and a template has one of its own.
    var dateString: String?
    /// The moment that `strftime_now` writes, in seconds since 1970.
    let now: Int
    /// Variables by name, as `enable_thinking`.
    var variables: JSONText
    var bosToken: String?
    var eosToken: String?

    /// - Throws: `OptionsError` for a date or variables that can't be read.
    init(dateString: String?, variables: String?, bosToken: String?, eosToken: String?) throws {
        self.dateString = dateString
        self.bosToken = bosToken
        self.eosToken = eosToken
        guard let now = Self.seconds(dateString ?? Self.defaultDate) else {
            throw OptionsError.rule(
                "--date-string is '\(dateString ?? "")', should be as '\(Self.defaultDate)' or '2024-07-26'")
        }
        self.now = now
        guard let variables else {
            self.variables = .object([])
            return
        }
        let file = try JSONFile(contents: Array(variables.utf8), path: "--chat-template-kwargs")
        guard file.root.value.kind == .object else {
            throw OptionsError.rule("--chat-template-kwargs should be a JSON object, as '{\"enable_thinking\": false}'")
        }
        self.variables = JSONText(file.root.value)
    }

    /// The same with a variable set.
    func with(variable name: String, _ value: Bool) -> RenderSettings {
        var settings = self
        if case .object(let members) = variables {
            settings.variables = .object(members.filter { $0.0 != name } + [(name, .bool(value))])
        }
        return settings
    }

    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    /// Midnight of a day, in UTC.
    private static func seconds(_ date: String) -> Int? {
        let words = date.split(separator: " ")
        let numbers = date.split(separator: "-").map { Int($0) }
        let parsed: (year: Int, month: Int, day: Int)
        if words.count == 3, let day = Int(words[0]), let month = months.firstIndex(of: words[1].lowercased()),
            let year = Int(words[2])
        {
            parsed = (year, month + 1, day)
        } else if numbers.count == 3, let year = numbers[0], let month = numbers[1], let day = numbers[2] {
            parsed = (year, month, day)
        } else {
            return nil
        }
        // A day that its month doesn't have would be one of the next.
        guard (1900...9999).contains(parsed.year), (1...12).contains(parsed.month), (1...31).contains(parsed.day)
        else { return nil }
        var parts = tm()
        parts.tm_year = Int32(parsed.year - 1900)
        parts.tm_mon = Int32(parsed.month - 1)
        parts.tm_mday = Int32(parsed.day)
        let seconds = timegm(&parts)
        return Int(parts.tm_mday) == parsed.day ? seconds : nil
    }
}

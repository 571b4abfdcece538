import Glibc
import Shared

/// What counts in training where the command line leaves an option out: the best that was measured for data of that size
/// (Documentation/Recipe.md).
enum TrainingPreset: String, CaseIterable, OptionValue {
    /// By the number of training samples.
    case auto
    /// Measured on 1,200, 5,387 and 14,536 conversations.
    case small
    /// SpecForge's defaults, which are those that options show.
    case specforge

    /// Samples up to which `auto` is `small`.
    static let mostOfSmall = 20_000
    /// Samples up to which `small` has two in a step, and not four.
    static let mostOfTwo = 5_000

    static let help =
        "What counts where options are left out: small, measured on 1,200 to 14,536 conversations (\(words(ofSmall)), "
        + "or 4 beyond \(mostOfTwo) conversations; Muon's rate is that of \(stepsOfRate) steps, and for others as the root of "
        + "their number falls or rises); specforge, SpecForge's, which are the defaults shown; auto, small for up to "
        + "\(mostOfSmall) conversations."

    private static let batch = "--draft-global-batch-size"
    private static let features = "--feature-loss-weight"
    private static let frozen = "--freeze-lm-head"

    private static let ofSmall =
        [OptionSetting(name: frozen, values: nil)]
        + [
            (features, "10"), ("--optimizer", "muon"), ("--learning-rate", "0.001"),
            (muonRate, rate(steps: stepsOfRate)), (schedule, "linear"), ("--warmup-ratio", "0.03"),
            ("--ttt-length", "3"), ("--ttt-loss-decay", "0.5"), (batch, "2"),
        ].map { OptionSetting(name: $0, values: [$1]) }

    /// An optimizer and its rates are chosen together: who gives one of them decides on all.
    private static let rates = ["--optimizer", "--learning-rate", muonRate]
    private static let muonRate = "--muon-learning-rate"
    private static let schedule = "--learning-rate-schedule"

    /// Steps of the run whose rate of Muon is in the help.
    private static let stepsOfRate = 600

    /// Two digits of Muon's rate: what steps at random would add up to is alike for any number of them.
    private static func rate(steps: Int) -> String {
        let rate = min(0.006, 0.055 / Double(max(1, steps)).squareRoot())
        let digit = pow(10, floor(log10(rate)) - 1)
        return Float((rate / digit).rounded() * digit).shown
    }

    /// - Parameter samples: Nil if it isn't known.
    private func isSmall(samples: Int?) -> Bool {
        switch self {
        case .auto: samples.map { $0 <= Self.mostOfSmall } ?? false
        case .small: true
        case .specforge: false
        }
    }

    /// Fills what the command line leaves out, and logs what that comes to.
    ///
    /// - Parameters:
    ///   - options: Of a command, those of drafts among them.
    ///   - samples: To train on; nil if that isn't known.
    ///   - groups: Of ranks that work on samples of their own: each gets one of a step at least.
    ///   - configuration: The draft's.
    ///   - steps: Of the run, once its other options are filled; nil if that isn't known.
    func fill(
        _ options: some Options, _ draft: DraftOptions, samples: Int?, groups: Int,
        _ configuration: any DraftConfiguration, steps: () -> Int?
    ) throws(OptionsError) {
        guard isSmall(samples: samples) else { return }
        var left = Set(configuration.foreign(draft.own).flatMap { type(of: $0).names })
        if options.typed.contains(where: { Self.rates.contains($0) }) { left.formUnion(Self.rates + [Self.schedule]) }
        left.formUnion(unneeded(options, draft, configuration))
        var settings = Self.ofSmall.filter { !left.contains($0.name) }
        settings.replace(Self.batch, by: "\(max(groups, (samples ?? 0) > Self.mostOfTwo ? 4 : 2))")
        _ = try options.fill(settings)
        if let steps = steps() { settings.replace(Self.muonRate, by: Self.rate(steps: steps)) }
        let filled = try options.fill(settings)
        try options.validate()
        guard !filled.isEmpty else { return }
        let reason = self == .auto ? "by \(samples ?? 0) samples" : "as asked for"
        Log.line("preset small, \(reason): \(Self.words(filled))")
    }

    /// What is left out of the target's hidden state and the head that it is learnt with.
    private func unneeded(
        _ options: some Options, _ draft: DraftOptions, _ configuration: any DraftConfiguration
    ) -> [String] {
        let isDeclined = options.typed.contains(Self.features) && draft.featureLossWeight == 0
        // Neither a saved head nor random numbers are the target's.
        let hasTargetsHead = draft.ckptDir == nil && draft.lmHeadInit == .target
        guard !isDeclined, hasTargetsHead, configuration.canAlignFeatures(freezesHead: true) else {
            return [Self.features, Self.frozen]
        }
        return configuration.canAlignFeatures(freezesHead: false) ? [Self.frozen] : []
    }

    private static func words(_ settings: [OptionSetting]) -> String {
        settings.flatMap(\.words).joined(separator: " ")
    }
}

extension [OptionSetting] {
    /// Gives an option another value, if it is there.
    fileprivate mutating func replace(_ name: String, by value: String) {
        for index in indices where self[index].name == name { self[index] = OptionSetting(name: name, values: [value]) }
    }
}

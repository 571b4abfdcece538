import Shared

/// What counts in training where the command line leaves an option out: the best that was measured for data of that size
/// (Documentation/Recipe.md).
enum TrainingPreset: String, CaseIterable, OptionValue {
    /// By the number of training samples.
    case auto
    /// Measured on 1,200 and on 5,387 conversations, and but for the features on 14,535.
    case small
    /// SpecForge's defaults, which are those that options show.
    case specforge

    /// Samples up to which `auto` is `small`.
    static let mostOfSmall = 20_000
    /// Samples up to which `small` has two in a step, and not four.
    static let mostOfTwo = 5_000

    static let help =
        "What counts where options are left out: small, measured on 1,200 and 5,387 conversations (\(words(ofSmall)), "
        + "or 4 beyond \(mostOfTwo) conversations); specforge, SpecForge's, which are the defaults shown; auto, small for up "
        + "to \(mostOfSmall) conversations."

    private static let batch = "--draft-global-batch-size"
    private static let features = "--feature-loss-weight"
    private static let frozen = "--freeze-lm-head"

    private static let ofSmall =
        [OptionSetting(name: frozen, values: nil)]
        + [
            (features, "10"), ("--optimizer", "muon"), ("--learning-rate", "0.002"), ("--muon-learning-rate", "0.012"),
            (schedule, "linear"), ("--warmup-ratio", "0.03"), ("--ttt-length", "3"), ("--ttt-loss-decay", "0.5"),
            (batch, "2"),
        ].map { OptionSetting(name: $0, values: [$1]) }

    /// An optimizer and its rates are chosen together: who gives one of them decides on all.
    private static let rates = ["--optimizer", "--learning-rate", "--muon-learning-rate"]
    private static let schedule = "--learning-rate-schedule"

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
    func fill(
        _ options: some Options, _ draft: DraftOptions, samples: Int?, groups: Int,
        _ configuration: any DraftConfiguration
    ) throws(OptionsError) {
        guard isSmall(samples: samples) else { return }
        var left = Set(configuration.foreign(draft.own).flatMap { type(of: $0).names })
        if options.typed.contains(where: { Self.rates.contains($0) }) { left.formUnion(Self.rates + [Self.schedule]) }
        left.formUnion(unneeded(options, draft, configuration))
        let settings = Self.ofSmall.filter { !left.contains($0.name) }.map { setting in
            guard setting.name == Self.batch else { return setting }
            let size = max(groups, (samples ?? 0) > Self.mostOfTwo ? 4 : 2)
            return OptionSetting(name: setting.name, values: ["\(size)"])
        }
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

import Shared

/// How often a checkpoint is written: by a number of steps, or by time.
enum SaveInterval: Equatable, Sendable {
    case steps(Int)
    case time(Duration)

    /// Whether a checkpoint is due after `step`, so long after the last one.
    func isDue(step: Int, sinceLast elapsed: Duration) -> Bool {
        switch self {
        case .steps(let steps): step.isMultiple(of: steps)
        case .time(let time): elapsed >= time
        }
    }
}

extension SaveInterval: OptionValue {
    private static let units: [(suffix: Character, seconds: Double)] = [("s", 1), ("m", 60), ("h", 3600)]

    /// `500` is steps; `90s`, `30m` and `1.5h` are time.
    init?(argument: String) {
        if let steps = Int(argument) {
            guard steps > 0 else { return nil }
            self = .steps(steps)
        } else {
            guard let unit = Self.units.first(where: { $0.suffix == argument.last }),
                let count = Double(argument.dropLast()), count.isFinite, count > 0, count < 1e6
            else { return nil }
            self = .time(.seconds(count * unit.seconds))
        }
    }

    static var expected: String { "STEPS|MINUTESm|HOURSh" }

    var shown: String {
        switch self {
        case .steps(let steps): "\(steps)"
        case .time(let time): "\(time.seconds)s"
        }
    }
}

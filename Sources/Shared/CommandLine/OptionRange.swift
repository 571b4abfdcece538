/// Which numbers an option accepts: stands where the option is declared, and in its help and errors.
///
/// ```swift
/// @Option("Worker threads.", in: 1...1024) var numThreads: Int?
/// @Option("Sizes of draft vocabularies.", in: 1...) var draftVocabSize: [Int] = []
/// @Option("Peak learning rate.", in: .above(0)) var learningRate: Float = 1e-4
/// @Option("AdamW's beta 1.", in: 0..<1) var adamBeta1: Float = 0.9
/// ```
///
/// Ranges of Swift's are ranges of options; `above` leaves out the lower bound. Floating-point options are always finite.
public protocol OptionRange<Bound>: Sendable {
    associatedtype Bound: OptionValue
    func contains(_ value: Bound) -> Bool
    /// The range in words, as "1 to 1024" or "at least 1".
    var words: String { get }
}

extension ClosedRange: OptionRange where Bound: OptionValue {
    public var words: String { "\(lowerBound.shown) to \(upperBound.shown)" }
}

extension PartialRangeFrom: OptionRange where Bound: OptionValue {
    public var words: String { "at least \(lowerBound.shown)" }
}

extension PartialRangeThrough: OptionRange where Bound: OptionValue {
    public var words: String { "at most \(upperBound.shown)" }
}

extension Range: OptionRange where Bound: OptionValue {
    public var words: String { "at least \(lowerBound.shown) and below \(upperBound.shown)" }
}

/// Numbers above a bound, and up to another if there is one.
public struct OpenRange<Bound: OptionValue & Comparable>: OptionRange {
    let lowerBound: Bound
    let upperBound: Bound?

    public func contains(_ value: Bound) -> Bool { value > lowerBound && upperBound.map { value <= $0 } ?? true }

    public var words: String { "above \(lowerBound.shown)" + (upperBound.map { " and at most \($0.shown)" } ?? "") }
}

extension OptionRange where Self == OpenRange<Float> {
    public static func above(_ lowerBound: Float, through upperBound: Float? = nil) -> OpenRange<Float> {
        OpenRange(lowerBound: lowerBound, upperBound: upperBound)
    }
}

/// An option's value that is a number, one that may be absent, or a list of them.
public protocol NumericOptionValue: OptionValue {
    associatedtype Number: OptionValue & Comparable
    var numbers: [Number] { get }
}

extension Int: NumericOptionValue {
    public var numbers: [Int] { [self] }
}

extension Float: NumericOptionValue {
    public var numbers: [Float] { [self] }
}

extension Optional: NumericOptionValue where Wrapped: NumericOptionValue {
    public var numbers: [Wrapped.Number] { self?.numbers ?? [] }
}

extension Array: NumericOptionValue where Element: NumericOptionValue {
    public var numbers: [Element.Number] { flatMap(\.numbers) }
}

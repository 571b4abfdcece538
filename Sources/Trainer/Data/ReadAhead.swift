import Dispatch

/// Makes numbered values ahead of who takes them, one after the other on a thread of its own.
///
/// A value depends on its number alone, so it is the same whether it was made ahead or not. One is made ahead, no more.
/// Who takes values is one thread.
final class ReadAhead<Value: Sendable> {
    private let queue = DispatchQueue(label: "read ahead")
    private let numbers: Range<Int>
    private let make: @Sendable (Int) -> Value
    private var begun: [Int: Slot] = [:]
    /// How long `value` has waited so far.
    private(set) var waited = Duration.zero

    private final class Slot: @unchecked Sendable {
        let isMade = DispatchSemaphore(value: 0)
        var value: Value?
    }

    /// - Parameters:
    ///   - numbers: Those that may be asked for; none is made beyond them.
    ///   - make: Called from one thread at a time.
    init(_ numbers: Range<Int>, make: @escaping @Sendable (Int) -> Value) {
        self.numbers = numbers
        self.make = make
    }

    /// The value of a number, and the next one's will be made meanwhile.
    func value(_ number: Int) -> Value {
        precondition(numbers.contains(number))
        begun = begun.filter { $0.key == number }
        let slot = begin(number)
        if number + 1 < numbers.upperBound { _ = begin(number + 1) }
        let start = ContinuousClock.now
        slot.isMade.wait()
        waited += ContinuousClock.now - start
        begun[number] = nil
        guard let value = slot.value else { preconditionFailure("a value was announced and not made") }
        return value
    }

    private func begin(_ number: Int) -> Slot {
        if let slot = begun[number] { return slot }
        let slot = Slot()
        begun[number] = slot
        queue.async { [make] in
            slot.value = make(number)
            slot.isMade.signal()
        }
        return slot
    }
}

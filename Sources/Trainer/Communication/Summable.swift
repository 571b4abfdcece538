/// Counts and sums that add up over batches, prompts and ranks.
protocol Summable {
    /// Passes each of its values to `visit`, in an order of its own.
    mutating func visitNumbers(_ visit: NumberVisitor)
}

/// What is done with each number of a `Summable`: it is read, or replaced.
struct NumberVisitor {
    let body: (inout Double) -> Void

    func callAsFunction(_ number: inout Double) { body(&number) }

    /// Counts up to 2⁵³ are exact.
    func callAsFunction(_ count: inout Int) {
        var number = Double(count)
        body(&number)
        count = Int(number)
    }

    /// 1 if it is true; of a sum, whether any is.
    func callAsFunction(_ flag: inout Bool) {
        var number = flag ? 1.0 : 0
        body(&number)
        flag = number > 0
    }

    func callAsFunction(_ counts: inout [Int]) {
        for index in counts.indices { self(&counts[index]) }
    }

    func callAsFunction<Part: Summable>(_ parts: inout [Part]) {
        for index in parts.indices { parts[index].visitNumbers(self) }
    }
}

extension Summable {
    /// All values, in the order in which they are visited.
    var numbers: [Double] {
        get {
            var (copy, numbers) = (self, [Double]())
            copy.visitNumbers(NumberVisitor { numbers.append($0) })
            return numbers
        }
        set {
            var rest = newValue[...]
            visitNumbers(NumberVisitor { if let next = rest.popFirst() { $0 = next } })
            precondition(rest.isEmpty, "numbers of another shape")
        }
    }

    mutating func add(_ other: Self) {
        let (own, more) = (numbers, other.numbers)
        precondition(own.count == more.count, "sums of different shapes")
        numbers = zip(own, more).map(+)
    }

    /// The sum over the ranks of a communicator.
    ///
    /// Collective: call on all ranks.
    func summed(over communicator: any Communicator) -> Self {
        var sum = self
        sum.numbers = communicator.sum(numbers)
        return sum
    }
}

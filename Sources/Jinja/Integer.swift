/// Python's arithmetic of integers, as far as 64 bits go; what needs more is an error.
enum Integer {
    static func sum(_ a: Int, _ b: Int) throws(Failure) -> Int { try checked(a.addingReportingOverflow(b)) }
    static func difference(_ a: Int, _ b: Int) throws(Failure) -> Int { try checked(a.subtractingReportingOverflow(b)) }
    static func product(_ a: Int, _ b: Int) throws(Failure) -> Int { try checked(a.multipliedReportingOverflow(by: b)) }
    static func magnitude(_ a: Int) throws(Failure) -> Int { a < 0 ? try difference(0, a) : a }

    /// The quotient, rounded down.
    static func quotient(_ a: Int, by b: Int) throws(Failure) -> Int {
        guard b != 0 else { throw .value("integer division or modulo by zero") }
        let quotient = try checked(a.dividedReportingOverflow(by: b))
        let rest = a - quotient * b
        return rest != 0 && (rest < 0) != (b < 0) ? quotient - 1 : quotient
    }

    /// The remainder, of the divisor's sign.
    static func remainder(_ a: Int, by b: Int) throws(Failure) -> Int {
        guard b != 0 else { throw .value("integer modulo by zero") }
        // Of the smallest integer by -1, whose quotient has no 64 bits, this is 0.
        let rest = a.remainderReportingOverflow(dividingBy: b).partialValue
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
    }

    static func power(_ base: Int, _ exponent: Int) throws(Failure) -> Int {
        var (result, base, rest) = (1, base, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result = try product(result, base) }
            rest >>= 1
            // 0, 1 and -1 stay as small, and their exponent may be as large as it likes.
            if rest > 0 { base = try product(base, base) }
        }
        return result
    }

    /// The integer of a floating-point number, rounded towards zero.
    static func truncated(_ value: Double) throws(Failure) -> Int {
        guard value.isFinite else {
            throw .value("cannot convert float \(value.isNaN ? "NaN" : "infinity") to integer")
        }
        guard let int = Int(exactly: value.rounded(.towardZero)) else { throw .largeInteger }
        return int
    }

    /// To a power of ten, of two as near to the even one.
    ///
    /// - Parameter digits: The power, more than 0.
    static func rounded(_ value: Int, digits: Int) throws(Failure) -> Int {
        guard digits < 19 else {
            // Half of 10¹⁹ is 5 · 10¹⁸, which integers of 64 bits reach; half of 10²⁰ they don't.
            if digits == 19, value.magnitude > 5_000_000_000_000_000_000 { throw .largeInteger }
            return 0
        }
        let unit = try power(10, digits)
        let (lower, rest) = (try quotient(value, by: unit), try remainder(value, by: unit))
        let isUp = rest > unit - rest || (rest == unit - rest && lower & 1 == 1)
        return try product(isUp ? lower + 1 : lower, unit)
    }

    private static func checked(_ result: (partialValue: Int, overflow: Bool)) throws(Failure) -> Int {
        guard !result.overflow else { throw .largeInteger }
        return result.partialValue
    }
}

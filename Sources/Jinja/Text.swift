/// A string of Python's: a sequence of code points, kept as UTF-8.
///
/// Two are equal if their code points are; Swift's strings compare by canonical equivalence instead.
public struct Text: Hashable, ExpressibleByStringLiteral {
    public let utf8: [UInt8]
    private let lease: Lease?

    /// A text that a program gives to a template, or that is a part of one; those of a rendering are made by its budget.
    public init(_ utf8: [UInt8]) { self.init(utf8, nil) }
    public init(_ string: String) { self.init(Array(string.utf8), nil) }
    public init(stringLiteral value: StaticString) { self.init(value.withUTF8Buffer(Array.init), nil) }

    fileprivate init(_ utf8: [UInt8], _ lease: Lease?) {
        self.utf8 = utf8
        self.lease = lease
    }

    public static func == (a: Text, b: Text) -> Bool { a.utf8 == b.utf8 }
    public func hash(into hasher: inout Hasher) { utf8.withUnsafeBytes { hasher.combine(bytes: $0) } }

    public var string: String { String(decoding: utf8, as: UTF8.self) }
    var isEmpty: Bool { utf8.isEmpty }

    /// The text, or its beginning with an ellipsis, for a message.
    var shown: String {
        utf8.count <= 200 ? string : String(decoding: utf8.prefix(200), as: UTF8.self) + "…"
    }
}

extension Budget {
    /// Texts of at least as many bytes are given back when they are released.
    private static let leasedBytes = 256

    /// A text of bytes that exist or are a part of others.
    func text(_ utf8: some Collection<UInt8>) throws(Failure) -> Text {
        let count = utf8.count
        try check(length: count)
        try pay(bytes: count + Self.overhead)
        return paid(Array(utf8))
    }

    func text(_ string: String) throws(Failure) -> Text { try text(string.utf8) }

    func text(_ scalar: Unicode.Scalar) throws(Failure) -> Text {
        try pay(bytes: Self.overhead)
        return Text(Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter), nil)
    }

    /// One text after the other.
    func text(_ a: Text, _ b: Text) throws(Failure) -> Text {
        let (count, overflow) = a.utf8.count.addingReportingOverflow(b.utf8.count)
        try check(length: overflow ? .max : count)
        try pay(bytes: count + Self.overhead)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        bytes += a.utf8
        bytes += b.utf8
        return paid(bytes)
    }

    /// A text of bytes for which all has been paid.
    fileprivate func paid(_ bytes: [UInt8]) -> Text {
        guard bytes.count >= Self.leasedBytes else { return Text(bytes, nil) }
        return Text(bytes, Lease(self, bytes: bytes.count + Self.overhead))
    }
}

/// A text that is being made, paid for before it grows.
struct TextBuilder {
    private let budget: Budget
    private var bytes: [UInt8] = []
    private var paid = 0

    init(_ budget: Budget) { self.budget = budget }

    var count: Int { bytes.count }

    /// Pays for more bytes.
    private mutating func reserve(_ more: Int) throws(Failure) {
        let (size, overflow) = bytes.count.addingReportingOverflow(more)
        guard overflow || size > paid else { return }
        try budget.check(length: overflow ? .max : size)
        // By doubling, so that byte after byte costs little more than all at once.
        let grown = max(size, min(2 * paid, budget.longest(paid: paid)))
        try budget.take(bytes: grown - paid)
        try budget.work(bytes: size - bytes.count)
        paid = grown
        bytes.reserveCapacity(grown)
    }

    mutating func append(_ byte: UInt8) throws(Failure) {
        if bytes.count == paid { try reserve(1) }
        bytes.append(byte)
    }

    mutating func append(_ scalar: Unicode.Scalar) throws(Failure) {
        if scalar.value < 0x80 { return try append(UInt8(truncatingIfNeeded: scalar.value)) }
        try append(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }

    mutating func append(_ more: some Collection<UInt8>) throws(Failure) {
        try reserve(more.count)
        bytes += more
    }

    mutating func append(_ text: Text) throws(Failure) { try append(text.utf8) }
    mutating func append(_ string: String) throws(Failure) { try append(string.utf8) }

    /// Appends a text a number of times, of which none is a negative one.
    mutating func append(_ text: Text, times: Int) throws(Failure) {
        guard times > 0, !text.isEmpty else { return }
        let (size, overflow) = text.utf8.count.multipliedReportingOverflow(by: times)
        try reserve(overflow ? .max : size)
        if text.utf8.count == 1 {
            bytes += repeatElement(text.utf8[0], count: times)
        } else {
            for _ in 0..<times { bytes += text.utf8 }
        }
    }

    /// The text; nothing may be appended after.
    func text() throws(Failure) -> Text {
        budget.refund(paid)
        try budget.take(bytes: bytes.count + Budget.overhead)
        return budget.paid(bytes)
    }
}

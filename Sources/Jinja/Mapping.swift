/// A dictionary, in the order in which its keys came; a later value of a key takes the position of the earlier.
public final class Mapping {
    struct Entry {
        let key: Value
        var value: Value
    }

    let entries: [Entry]
    let depth: Int
    /// What the program that renders knows the mapping by, as a message's number; -1 for none.
    public let tag: Int
    /// Positions of keys, where there are too many to look through.
    private let positions: [HashKey: Int]?
    private let budget: Budget?
    private static let searchedEntries = 16

    /// A mapping that a program gives to a template; those of a rendering are made by its budget.
    ///
    /// - Parameter members: Of equal keys the last counts.
    public init(_ members: [(Text, Value)], tag: Int = -1) {
        var (entries, positions) = ([Entry](), [HashKey: Int]())
        entries.reserveCapacity(members.count)
        if members.count <= Self.searchedEntries {
            for (key, value) in members {
                if let position = entries.firstIndex(where: { $0.key.text == key }) {
                    entries[position].value = value
                } else {
                    entries.append(Entry(key: .string(key), value: value))
                }
            }
        } else {
            for (key, value) in members {
                if let position = positions[.text(key)] {
                    entries[position].value = value
                } else {
                    positions[.text(key)] = entries.count
                    entries.append(Entry(key: .string(key), value: value))
                }
            }
        }
        self.entries = entries
        self.tag = tag
        depth = Self.depth(entries) + 1
        self.positions = entries.count > Self.searchedEntries ? positions : nil
        budget = nil
    }

    /// - Throws: `Failure` for a key that can't be one, as a list, or if the budget doesn't allow for it.
    fileprivate init(_ members: [(key: Value, value: Value)], _ budget: Budget) throws(Failure) {
        let cost = Self.cost(members.count)
        try budget.pay(bytes: cost)
        var (entries, positions) = ([Entry](), [HashKey: Int]())
        for (key, value) in members {
            let hash = try HashKey(key, budget)
            if let position = positions[hash] {
                entries[position].value = value
            } else {
                positions[hash] = entries.count
                entries.append(Entry(key: key, value: value))
            }
        }
        let depth = Self.depth(entries) + 1
        try budget.check(depth: depth)
        budget.refund(cost - Self.cost(entries.count))
        self.entries = entries
        self.depth = depth
        tag = -1
        self.positions = entries.count > Self.searchedEntries ? positions : nil
        self.budget = budget
    }

    deinit { budget?.refund(Self.cost(entries.count)) }

    /// With the table of positions.
    private static func cost(_ count: Int) -> Int { count * 2 * MemoryLayout<Entry>.stride + 2 * Budget.overhead }

    private static func depth(_ entries: [Entry]) -> Int {
        entries.reduce(0) { max($0, $1.value.depth, $1.key.depth) }
    }

    func value(of name: Text, _ budget: Budget) throws(Failure) -> Value? {
        if let positions {
            try budget.work(bytes: name.utf8.count)
            return positions[.text(name)].map { entries[$0].value }
        }
        try budget.work(bytes: name.utf8.count * entries.count)
        for entry in entries {
            if case .string(let key) = entry.key, key.utf8 == name.utf8 { return entry.value }
            if case .markup(let key) = entry.key, key.utf8 == name.utf8 { return entry.value }
        }
        return nil
    }

    /// The value of any key.
    ///
    /// - Throws: `Failure` for a key that can't be one.
    func value(of key: Value, _ budget: Budget) throws(Failure) -> Value? {
        if let text = key.text { return try value(of: text, budget) }
        let hash = try HashKey(key, budget)
        if let positions { return positions[hash].map { entries[$0].value } }
        for entry in entries where try HashKey(entry.key, budget) == hash { return entry.value }
        return nil
    }

    /// Its keys and values as tuples.
    func items(_ budget: Budget) throws(Failure) -> [Value] {
        var items: [Value] = []
        for entry in entries { items.append(try budget.tuple([entry.key, entry.value])) }
        return items
    }
}

extension Budget {
    func mapping(_ members: [(key: Value, value: Value)]) throws(Failure) -> Value {
        .mapping(try Mapping(members, self))
    }

    /// A mapping of a call's named arguments.
    func mapping(named arguments: [(name: String, value: Value)]) throws(Failure) -> Value {
        var members: [(key: Value, value: Value)] = []
        for argument in arguments { members.append((.string(try text(argument.name)), argument.value)) }
        return try mapping(members)
    }
}

/// What two values share that are one key in Python: 1, 1.0 and true do.
enum HashKey: Hashable {
    case none
    case int(Int)
    case float(Double)
    case text(Text)
    case tuple([HashKey])
    case identity(ObjectIdentifier)

    /// - Throws: `Failure` for a value that isn't hashable.
    init(_ value: Value, _ budget: Budget) throws(Failure) {
        switch value {
        case .none: self = .none
        case .undefined: self = .identity(ObjectIdentifier(Undefined.self))
        case .bool(let value): self = .int(value ? 1 : 0)
        case .int(let value): self = .int(value)
        case .float(let value): self = Int(exactly: value).map(HashKey.int) ?? .float(value)
        case .string(let text), .markup(let text):
            try budget.work(bytes: text.utf8.count)
            self = .text(text)
        case .tuple(let list):
            try budget.enter()
            var keys: [HashKey] = []
            for element in list.elements { keys.append(try HashKey(element, budget)) }
            try budget.pay(elements: keys.count)
            self = .tuple(keys)
        case .list, .mapping: throw .type("unhashable type: '\(value.typeName)'")
        case .object(let object): self = .identity(ObjectIdentifier(object))
        }
    }
}

/// A dictionary, in the order in which its keys came; a later value of a key takes the place of the earlier.
public final class Mapping {
    struct Entry {
        let key: Value
        var value: Value
    }

    let entries: [Entry]
    let depth: Int
    /// What the program that renders knows the mapping by, as a message's number; -1 for none.
    public let tag: Int
    /// Places of keys, where there are too many to look through.
    private let places: [HashKey: Int]?
    private static let searchedEntries = 16

    public convenience init(_ members: [(String, Value)], tag: Int = -1) {
        self.init(unique: members.map { Entry(key: .string(Text($0.0)), value: $0.1) }, tag: tag)
    }

    /// A mapping of text keys, of which the last of equal ones counts.
    public convenience init(texts: [(Text, Value)], tag: Int = -1) {
        var entries: [Entry] = []
        entries.reserveCapacity(texts.count)
        if texts.count <= Self.searchedEntries {
            for (key, value) in texts {
                if let place = entries.firstIndex(where: { $0.key.text?.utf8 == key.utf8 }) {
                    entries[place].value = value
                } else {
                    entries.append(Entry(key: .string(key), value: value))
                }
            }
            self.init(unique: entries, tag: tag)
            return
        }
        var places: [Text: Int] = [:]
        for (key, value) in texts {
            if let place = places.updateValue(entries.count, forKey: key) {
                entries[place].value = value
                places[key] = place
            } else {
                entries.append(Entry(key: .string(key), value: value))
            }
        }
        self.init(unique: entries, tag: tag)
    }

    init(unique entries: [Entry], tag: Int = -1) {
        self.entries = entries
        self.tag = tag
        depth = entries.reduce(0) { max($0, $1.value.depth, $1.key.depth) } + 1
        guard entries.count > Self.searchedEntries else {
            places = nil
            return
        }
        var places: [HashKey: Int] = [:]
        for (place, entry) in entries.enumerated() { places[HashKey(unchecked: entry.key)] = place }
        self.places = places
    }

    /// - Throws: `Failure` for a key that can't be one, as a list.
    convenience init(_ members: [(Value, Value)]) throws(Failure) {
        var (entries, places) = ([Entry](), [HashKey: Int]())
        for (key, value) in members {
            let hash = try HashKey(key)
            if let place = places[hash] {
                entries[place].value = value
            } else {
                places[hash] = entries.count
                entries.append(Entry(key: key, value: value))
            }
        }
        self.init(unique: entries)
    }

    subscript(_ name: Text) -> Value? {
        if let places { return places[.text(name)].map { entries[$0].value } }
        for entry in entries {
            if case .string(let key) = entry.key, key.utf8 == name.utf8 { return entry.value }
            if case .markup(let key) = entry.key, key.utf8 == name.utf8 { return entry.value }
        }
        return nil
    }

    /// The value of any key.
    func value(of key: Value) throws(Failure) -> Value? {
        if let text = key.text { return self[text] }
        let hash = try HashKey(key)
        if let places { return places[hash].map { entries[$0].value } }
        return entries.first { HashKey(unchecked: $0.key) == hash }?.value
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

    init(_ value: Value) throws(Failure) {
        switch value {
        case .list, .mapping: throw Failure("unhashable type: '\(value.typeName)'")
        case .tuple(let list):
            for element in list.elements { _ = try HashKey(element) }
        default: break
        }
        self.init(unchecked: value)
    }

    init(unchecked value: Value) {
        switch value {
        case .none: self = .none
        case .undefined: self = .identity(ObjectIdentifier(Undefined.self))
        case .bool(let value): self = .int(value ? 1 : 0)
        case .int(let value): self = .int(value)
        case .float(let value): self = Int(exactly: value).map(HashKey.int) ?? .float(value)
        case .string(let text), .markup(let text): self = .text(text)
        case .list(let list), .tuple(let list): self = .tuple(list.elements.map(HashKey.init(unchecked:)))
        case .mapping(let mapping): self = .identity(ObjectIdentifier(mapping))
        case .object(let object): self = .identity(ObjectIdentifier(object))
        }
    }
}

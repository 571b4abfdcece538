/// The methods of a dictionary that don't change it.
enum MappingMethod: String {
    case get, items, keys, values, copy

    func call(on mapping: Mapping, _ arguments: Arguments) throws(Failure) -> Value {
        if self != .get { _ = try arguments.bound(to: [], of: rawValue) }
        switch self {
        case .get:
            let values = try arguments.bound(to: ["key", "default"], of: rawValue, required: 1)
            return try mapping.value(of: values[0] ?? .none) ?? values[1] ?? .none
        case .items: return .object(MappingView("dict_items", mapping.items))
        case .keys: return .object(MappingView("dict_keys", mapping.entries.map(\.key)))
        case .values: return .object(MappingView("dict_values", mapping.entries.map(\.value)))
        case .copy: return .mapping(mapping)
        }
    }
}

extension Mapping {
    /// Its keys and values as tuples.
    var items: [Value] { entries.map { .tuple([$0.key, $0.value]) } }
}

/// The methods of lists and tuples that don't change them.
enum SequenceMethod: String {
    case index, count, copy

    func call(on value: Value, _ arguments: Arguments) throws(Failure) -> Value {
        let elements = try value.iterated()
        if self == .copy { return value }
        let wanted = try arguments.bound(to: ["value"], of: rawValue, required: 1)[0] ?? .none
        var count = 0
        for (i, element) in elements.enumerated() where try element.equals(wanted) {
            if self == .index { return .int(i) }
            count += 1
        }
        if self == .index { throw Failure("\(try wanted.represented().string) is not in list") }
        return .int(count)
    }
}

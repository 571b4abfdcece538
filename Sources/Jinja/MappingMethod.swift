/// The methods of a dictionary that don't change it.
enum MappingMethod: String, CaseIterable {
    case get, items, keys, values, copy

    func call(on mapping: Mapping, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value {
        let budget = rendering.budget
        if self != .get { _ = try arguments.bound(to: [], of: rawValue) }
        switch self {
        case .get:
            let values = try arguments.bound(to: ["key", "default"], of: rawValue, required: 1)
            return try mapping.value(of: values[0] ?? .none, budget) ?? values[1] ?? .none
        case .items: return .object(try MappingView(budget, "dict_items", try mapping.items(budget)))
        case .keys: return .object(try MappingView(budget, "dict_keys", mapping.entries.map(\.key)))
        case .values: return .object(try MappingView(budget, "dict_values", mapping.entries.map(\.value)))
        case .copy: return .mapping(mapping)
        }
    }
}

/// The methods of lists and tuples that don't change them.
enum SequenceMethod: String, CaseIterable {
    case index, count, copy

    func call(on value: Value, _ arguments: Arguments, _ rendering: Rendering) throws(Failure) -> Value {
        let budget = rendering.budget
        if self == .copy { return value }
        let wanted = try arguments.bound(to: ["value"], of: rawValue, required: 1)[0] ?? .none
        var count = 0
        for (i, element) in try value.iterated(budget).elements.enumerated() {
            try budget.step()
            guard try element.equals(wanted, budget) else { continue }
            if self == .index { return .int(i) }
            count += 1
        }
        if self == .index { throw .value("\(try wanted.represented(budget).shown) is not in list") }
        return .int(count)
    }
}

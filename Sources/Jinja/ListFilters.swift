extension Filters {
    static let listFilters: [String: Function] = [
        "first": { rendering, value, _ throws(Failure) in
            try value.iterated(rendering.budget).elements.first
                ?? .undefined(Undefined(message: "No first item, sequence was empty."))
        },
        "last": { rendering, value, _ throws(Failure) in
            try value.iterated(rendering.budget).elements.last
                ?? .undefined(Undefined(message: "No last item, sequence was empty."))
        },
        "list": { rendering, value, _ throws(Failure) in .list(try value.iterated(rendering.budget)) },
        "items": { rendering, value, _ throws(Failure) in
            if value.isUndefined { return .object(try IteratorObject(rendering.budget, "generator", [])) }
            guard case .mapping(let mapping) = value else { throw .type("Can only get item pairs from a mapping.") }
            return .object(try IteratorObject(rendering.budget, "generator", try mapping.items(rendering.budget)))
        },
        "join": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["d", "attribute"], of: "join")
            let budget = rendering.budget
            let separator = try values[0]?.printed(budget) ?? ""
            let key = try AttributePath(values[1], budget)
            var result = TextBuilder(budget)
            for (i, element) in try value.iterated(budget).elements.enumerated() {
                try budget.step()
                if i > 0 { try result.append(separator) }
                try result.append(try key.value(of: element, rendering).printed(budget))
            }
            return .string(try result.text())
        },
        "reverse": { rendering, value, _ throws(Failure) in
            let elements = try value.iterated(rendering.budget).elements
            guard value.text == nil else {
                var result = TextBuilder(rendering.budget)
                for element in elements.reversed() { try result.append(try element.printed(rendering.budget)) }
                return .string(try result.text())
            }
            let name = if case .mapping = value { "dict_reversekeyiterator" } else { "list_reverseiterator" }
            return .object(try IteratorObject(rendering.budget, name, elements.reversed()))
        },
        "sort": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["reverse", "case_sensitive", "attribute"], of: "sort")
            let keys = try SortKeys(values[2], rendering, isCaseSensitive: values[1]?.isTrue ?? false)
            let isReversed = values[0]?.isTrue ?? false
            return try rendering.budget.list(
                try value.iterated(rendering.budget).elements.sortedByPython(
                    reversed: isReversed, rendering.budget, keys.key))
        },
        "dictsort": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["case_sensitive", "by", "reverse"], of: "dictsort")
            guard case .mapping(let mapping) = value else { throw operandFailure(value, "dictsort") }
            let by = values[1]?.text?.shown ?? "key"
            guard by == "key" || by == "value" else {
                throw .runtime("You can only sort by either \"key\" or \"value\"")
            }
            let isCaseSensitive = values[0]?.isTrue ?? false
            let budget = rendering.budget
            let sorted = try mapping.entries.sortedByPython(reversed: values[2]?.isTrue ?? false, budget) {
                (entry) throws(Failure) in
                let key = by == "key" ? entry.key : entry.value
                return isCaseSensitive ? key : try key.caseFolded(budget)
            }
            var pairs: [Value] = []
            for entry in sorted { pairs.append(try budget.tuple([entry.key, entry.value])) }
            return try budget.list(pairs)
        },
        "unique": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["case_sensitive", "attribute"], of: "unique")
            let keys = try SortKeys(values[1], rendering, isCaseSensitive: values[0]?.isTrue ?? false, single: true)
            var (seen, kept) = (Set<HashKey>(), [Value]())
            for element in try value.iterated(rendering.budget).elements {
                let key = try HashKey(try keys.key(element), rendering.budget)
                guard seen.insert(key).inserted else { continue }
                try rendering.budget.pay(elements: 2)
                kept.append(element)
            }
            return .object(try IteratorObject(rendering.budget, "generator", kept))
        },
        "min": { rendering, value, arguments throws(Failure) in
            try extreme(value, arguments, rendering, "min") { (a, b) throws(Failure) in
                try a.isLess(than: b, "<", rendering.budget)
            }
        },
        "max": { rendering, value, arguments throws(Failure) in
            try extreme(value, arguments, rendering, "max") { (a, b) throws(Failure) in
                try b.isLess(than: a, ">", rendering.budget)
            }
        },
        "sum": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["attribute", "start"], of: "sum")
            let key = try AttributePath(values[0], rendering.budget)
            var total = values[1] ?? .int(0)
            for element in try value.iterated(rendering.budget).elements {
                try rendering.budget.step()
                total = try total.combined(.plus, with: try key.value(of: element, rendering), rendering)
            }
            return total
        },
        "batch": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["linecount", "fill_with"], of: "batch", required: 1)
            let budget = rendering.budget
            guard let size = values[0]?.int, size > 0 else { throw .value("batch wants a positive number") }
            var (batches, elements) = ([Value](), try value.iterated(budget).elements[...])
            while !elements.isEmpty {
                var batch = Array(elements.prefix(size))
                elements = elements.dropFirst(size)
                if let fill = values[1], !fill.isNone, batch.count < size {
                    try budget.check(elements: size)
                    batch += repeatElement(fill, count: size - batch.count)
                }
                batches.append(try budget.list(batch))
            }
            return .object(try IteratorObject(budget, "generator", batches))
        },
        "slice": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["slices", "fill_with"], of: "slice", required: 1)
            let budget = rendering.budget
            guard let slices = values[0]?.int, slices > 0 else { throw .value("slice wants a positive number") }
            let elements = try value.iterated(budget).elements
            let (size, longer) = (elements.count / slices, elements.count % slices)
            var (parts, start) = ([Value](), 0)
            for i in 0..<slices {
                let end = start + size + (i < longer ? 1 : 0)
                var part = Array(elements[start..<end])
                if let fill = values[1], !fill.isNone, i >= longer { part.append(fill) }
                // Each is paid for, so that too many of them end here.
                parts.append(try budget.list(part))
                start = end
            }
            return .object(try IteratorObject(budget, "generator", parts))
        },
        "groupby": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(
                to: ["attribute", "default", "case_sensitive"], of: "groupby", required: 1)
            let budget = rendering.budget
            let isCaseSensitive = values[2]?.isTrue ?? false
            let path = try AttributePath(values[0], default: values[1], budget)
            func key(_ element: Value) throws(Failure) -> Value {
                let value = try path.value(of: element, rendering)
                return isCaseSensitive ? value : try value.caseFolded(budget)
            }
            var groups: [(key: Value, name: Value, elements: [Value])] = []
            for element in try value.iterated(budget).elements.sortedByPython(budget, key) {
                try budget.step()
                let key = try key(element)
                if let last = groups.last, try last.key.equals(key, budget) {
                    groups[groups.count - 1].elements.append(element)
                } else {
                    groups.append((key, try path.value(of: element, rendering), [element]))
                }
            }
            var objects: [Value] = []
            for group in groups { objects.append(.object(try Group(budget, group.name, group.elements))) }
            return try budget.list(objects)
        },
        "map": { rendering, value, arguments throws(Failure) in
            let elements = try value.iterated(rendering.budget).elements
            let change = try transformation(arguments, rendering)
            var changed: [Value] = []
            for element in elements {
                // A filter may be this one again.
                try rendering.budget.enter()
                changed.append(try change(element))
            }
            return .object(try IteratorObject(rendering.budget, "generator", changed))
        },
        "select": { rendering, value, arguments throws(Failure) in
            try selection(value, arguments, rendering, hasAttribute: false, true)
        },
        "reject": { rendering, value, arguments throws(Failure) in
            try selection(value, arguments, rendering, hasAttribute: false, false)
        },
        "selectattr": { rendering, value, arguments throws(Failure) in
            try selection(value, arguments, rendering, hasAttribute: true, true)
        },
        "rejectattr": { rendering, value, arguments throws(Failure) in
            try selection(value, arguments, rendering, hasAttribute: true, false)
        },
    ]

    private static func extreme(
        _ value: Value, _ arguments: Arguments, _ rendering: Rendering, _ name: String,
        _ isBetter: (Value, Value) throws(Failure) -> Bool
    ) throws(Failure) -> Value {
        let values = try arguments.bound(to: ["case_sensitive", "attribute"], of: name)
        let keys = try SortKeys(values[1], rendering, isCaseSensitive: values[0]?.isTrue ?? false, single: true)
        var best: (key: Value, element: Value)?
        for element in try value.iterated(rendering.budget).elements {
            let key = try keys.key(element)
            if let current = best, !(try isBetter(key, current.key)) { continue }
            best = (key, element)
        }
        return best?.element ?? .undefined(Undefined(message: "No aggregated item, sequence was empty."))
    }

    /// What `map` does to an element: an attribute, or a filter with arguments.
    private static func transformation(
        _ arguments: Arguments, _ rendering: Rendering
    ) throws(Failure) -> (Value) throws(Failure) -> Value {
        if arguments.positional.isEmpty, let attribute = arguments.named.first(where: { $0.name == "attribute" }) {
            let other = arguments.named.first { $0.name == "default" }?.value
            if let unknown = arguments.named.first(where: { $0.name != "attribute" && $0.name != "default" }) {
                throw .runtime("Unexpected keyword argument '\(unknown.name)'")
            }
            let path = try AttributePath(attribute.value, default: other, rendering.budget)
            return { (value) throws(Failure) in try path.value(of: value, rendering) }
        }
        guard let name = arguments.positional.first else { throw .runtime("map requires a filter argument") }
        let filterName = try text(name, "map").shown
        guard let filter = all[filterName] else { throw .runtime("no filter named '\(filterName)'") }
        let rest = Arguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
        return { (value) throws(Failure) in try filter(rendering, value, rest) }
    }

    /// The elements for which a test holds, or doesn't hold, of themselves or of an attribute.
    private static func selection(
        _ value: Value, _ arguments: Arguments, _ rendering: Rendering, hasAttribute: Bool, _ wanted: Bool
    ) throws(Failure) -> Value {
        let elements = try value.iterated(rendering.budget).elements
        var positional = arguments.positional[...]
        if hasAttribute, positional.isEmpty { throw .runtime("Missing parameter for attribute name") }
        let path = try AttributePath(hasAttribute ? positional.removeFirst() : nil, rendering.budget)
        var test: Tests.Function?
        if let name = positional.popFirst() {
            let testName = try text(name, "select").shown
            test = Tests.all[testName]
            guard test != nil else { throw .runtime("no test named '\(testName)'") }
        }
        let rest = Arguments(positional: Array(positional), named: arguments.named)
        var kept: [Value] = []
        for element in elements {
            try rendering.budget.step()
            let value = try path.value(of: element, rendering)
            if try test?(rendering, value, rest) ?? value.isTrue == wanted { kept.append(element) }
        }
        return .object(try IteratorObject(rendering.budget, "generator", kept))
    }
}

extension Value {
    /// Text in lower case; anything else as it is.
    func caseFolded(_ budget: Budget) throws(Failure) -> Value {
        guard let text else { return self }
        return .string(try text.lowercased(budget))
    }
}

/// An attribute of elements: a name, a number, or some of them with dots between.
struct AttributePath {
    private let parts: [Value]
    private let other: Value?

    /// - Parameter other: What replaces an attribute that isn't there.
    init(_ path: Value?, default other: Value? = nil, _ budget: Budget) throws(Failure) {
        self.other = other.flatMap { $0.isNone ? nil : $0 }
        switch path {
        case nil, .some(.none): parts = []
        case .int: parts = [path].compactMap(\.self)
        default:
            var parts: [Value] = []
            let text = try Filters.text(path, "attribute")
            try text.forEachPart(separator: ".", atMost: -1) { (range) throws(Failure) in
                let part = try budget.text(text.utf8[range])
                parts.append(Int(part.shown).map(Value.int) ?? .string(part))
            }
            try budget.pay(elements: parts.count)
            self.parts = parts
        }
    }

    func value(of element: Value, _ rendering: Rendering) throws(Failure) -> Value {
        var value = element
        for part in parts {
            try rendering.budget.step()
            value = try value.itemOrAttribute(part, rendering)
            if value.isUndefined, let other { value = other }
        }
        return value
    }
}

/// What elements are sorted by: themselves, or attributes with commas between.
private struct SortKeys {
    private let paths: [AttributePath]
    private let rendering: Rendering
    private let isCaseSensitive: Bool

    init(
        _ attribute: Value?, _ rendering: Rendering, isCaseSensitive: Bool, single: Bool = false
    ) throws(Failure) {
        self.isCaseSensitive = isCaseSensitive
        self.rendering = rendering
        let budget = rendering.budget
        var paths: [AttributePath] = []
        if !single, let text = attribute?.text {
            try text.forEachPart(separator: ",", atMost: -1) { (range) throws(Failure) in
                guard !range.isEmpty else { return }
                paths.append(try AttributePath(.string(try budget.text(text.utf8[range])), budget))
            }
        } else {
            paths.append(try AttributePath(attribute, budget))
        }
        self.paths = paths
    }

    func key(_ element: Value) throws(Failure) -> Value {
        var keys: [Value] = []
        for path in paths {
            try rendering.budget.step()
            let value = try path.value(of: element, rendering)
            keys.append(isCaseSensitive ? value : try value.caseFolded(rendering.budget))
        }
        return keys.count == 1 ? keys[0] : try rendering.budget.list(keys)
    }
}

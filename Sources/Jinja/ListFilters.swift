extension Filters {
    static let listFilters: [String: Function] = [
        "first": { _, value, _ throws(Failure) in
            try value.iterated().first ?? .undefined(Undefined(message: "No first item, sequence was empty."))
        },
        "last": { _, value, _ throws(Failure) in
            try value.iterated().last ?? .undefined(Undefined(message: "No last item, sequence was empty."))
        },
        "list": { _, value, _ throws(Failure) in .list(try value.iterated()) },
        "items": { _, value, _ throws(Failure) in
            if value.isUndefined { return .object(IteratorObject("generator", [])) }
            guard case .mapping(let mapping) = value else { throw Failure("Can only get item pairs from a mapping.") }
            return .object(IteratorObject("generator", mapping.items))
        },
        "join": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["d", "attribute"], of: "join")
            let separator = try values[0]?.printed() ?? ""
            let key = try AttributePath(values[1])
            var bytes: [UInt8] = []
            for (i, element) in try value.iterated().enumerated() {
                if i > 0 { bytes += separator.utf8 }
                bytes += try key.value(of: element).printed().utf8
                try rendering.spend(bytes: bytes.count)
            }
            return .string(Text(bytes))
        },
        "reverse": { _, value, _ throws(Failure) in
            if let text = value.text { return .string(Text(text.scalars.reversed())) }
            if case .mapping = value {
                return .object(IteratorObject("dict_reversekeyiterator", try value.iterated().reversed()))
            }
            return .object(IteratorObject("list_reverseiterator", try value.iterated().reversed()))
        },
        "sort": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["reverse", "case_sensitive", "attribute"], of: "sort")
            let keys = try SortKeys(values[2], isCaseSensitive: values[1]?.isTrue ?? false)
            return .list(try value.iterated().sortedByPython(reversed: values[0]?.isTrue ?? false, keys.key))
        },
        "dictsort": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["case_sensitive", "by", "reverse"], of: "dictsort")
            guard case .mapping(let mapping) = value else { throw operandFailure(value, "dictsort") }
            let by = values[1]?.text?.string ?? "key"
            guard by == "key" || by == "value" else {
                throw Failure("You can only sort by either \"key\" or \"value\"")
            }
            let isCaseSensitive = values[0]?.isTrue ?? false
            let sorted = try mapping.entries.sortedByPython(reversed: values[2]?.isTrue ?? false) {
                let key = by == "key" ? $0.key : $0.value
                return isCaseSensitive ? key : key.caseFolded
            }
            return .list(sorted.map { .tuple([$0.key, $0.value]) })
        },
        "unique": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["case_sensitive", "attribute"], of: "unique")
            let keys = try SortKeys(values[1], isCaseSensitive: values[0]?.isTrue ?? false, single: true)
            var (seen, kept) = (Set<HashKey>(), [Value]())
            for element in try value.iterated() where seen.insert(try HashKey(try keys.key(element))).inserted {
                kept.append(element)
            }
            return .object(IteratorObject("generator", kept))
        },
        "min": { _, value, arguments throws(Failure) in
            try extreme(value, arguments, "min") { (a, b) throws(Failure) in try a.isLess(than: b, "<") }
        },
        "max": { _, value, arguments throws(Failure) in
            try extreme(value, arguments, "max") { (a, b) throws(Failure) in try b.isLess(than: a, ">") }
        },
        "sum": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["attribute", "start"], of: "sum")
            let key = try AttributePath(values[0])
            var total = values[1] ?? .int(0)
            for element in try value.iterated() {
                total = try total.combined(.plus, with: try key.value(of: element), rendering)
            }
            return total
        },
        "batch": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["linecount", "fill_with"], of: "batch", required: 1)
            guard let size = values[0]?.int, size > 0 else { throw Failure("batch wants a positive number") }
            var (batches, elements) = ([Value](), try value.iterated()[...])
            while !elements.isEmpty {
                var batch = Array(elements.prefix(size))
                elements = elements.dropFirst(size)
                if let fill = values[1], !fill.isNone {
                    try rendering.spend(elements: size)
                    batch += repeatElement(fill, count: size - batch.count)
                }
                batches.append(.list(batch))
            }
            return .object(IteratorObject("generator", batches))
        },
        "slice": { rendering, value, arguments throws(Failure) in
            let values = try arguments.bound(to: ["slices", "fill_with"], of: "slice", required: 1)
            guard let slices = values[0]?.int, slices > 0 else { throw Failure("slice wants a positive number") }
            try rendering.spend(elements: slices)
            let elements = try value.iterated()
            let (size, longer) = (elements.count / slices, elements.count % slices)
            var (parts, start) = ([Value](), 0)
            for i in 0..<slices {
                let end = start + size + (i < longer ? 1 : 0)
                var part = Array(elements[start..<end])
                if let fill = values[1], !fill.isNone, i >= longer { part.append(fill) }
                parts.append(.list(part))
                start = end
            }
            return .object(IteratorObject("generator", parts))
        },
        "groupby": { _, value, arguments throws(Failure) in
            let values = try arguments.bound(
                to: ["attribute", "default", "case_sensitive"], of: "groupby", required: 1)
            let isCaseSensitive = values[2]?.isTrue ?? false
            let path = try AttributePath(values[0], usual: values[1])
            func key(_ element: Value) throws(Failure) -> Value {
                let value = try path.value(of: element)
                return isCaseSensitive ? value : value.caseFolded
            }
            var groups: [(key: Value, name: Value, elements: [Value])] = []
            for element in try value.iterated().sortedByPython(key) {
                let key = try key(element)
                if let last = groups.last, try last.key.equals(key) {
                    groups[groups.count - 1].elements.append(element)
                } else {
                    groups.append((key, try path.value(of: element), [element]))
                }
            }
            return .list(groups.map { .object(Group($0.name, $0.elements)) })
        },
        "map": { rendering, value, arguments throws(Failure) in
            let elements = try value.iterated()
            let change = try transformation(arguments, rendering)
            var changed: [Value] = []
            for element in elements { changed.append(try change(element)) }
            return .object(IteratorObject("generator", changed))
        },
        "select": { _, value, arguments throws(Failure) in try selection(value, arguments, hasAttribute: false, true) },
        "reject": { _, value, arguments throws(Failure) in try selection(value, arguments, hasAttribute: false, false)
        },
        "selectattr": { _, value, arguments throws(Failure) in
            try selection(value, arguments, hasAttribute: true, true)
        },
        "rejectattr": { _, value, arguments throws(Failure) in
            try selection(value, arguments, hasAttribute: true, false)
        },
    ]

    private static func extreme(
        _ value: Value, _ arguments: Arguments, _ name: String, _ isBetter: (Value, Value) throws(Failure) -> Bool
    ) throws(Failure) -> Value {
        let values = try arguments.bound(to: ["case_sensitive", "attribute"], of: name)
        let keys = try SortKeys(values[1], isCaseSensitive: values[0]?.isTrue ?? false, single: true)
        var best: (key: Value, element: Value)?
        for element in try value.iterated() {
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
            let usual = arguments.named.first { $0.name == "default" }?.value
            if let other = arguments.named.first(where: { $0.name != "attribute" && $0.name != "default" }) {
                throw Failure("Unexpected keyword argument '\(other.name)'")
            }
            let path = try AttributePath(attribute.value, usual: usual)
            return { (value) throws(Failure) in try path.value(of: value) }
        }
        guard let name = arguments.positional.first else { throw Failure("map requires a filter argument") }
        guard let filter = all[try text(name, "map").string] else {
            throw Failure("no filter named '\(try name.printed().string)'")
        }
        let rest = Arguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
        return { (value) throws(Failure) in try filter(rendering, value, rest) }
    }

    /// The elements for which a test holds, or doesn't hold, of themselves or of an attribute.
    private static func selection(
        _ value: Value, _ arguments: Arguments, hasAttribute: Bool, _ wanted: Bool
    ) throws(Failure) -> Value {
        let elements = try value.iterated()
        var positional = arguments.positional[...]
        if hasAttribute, positional.isEmpty { throw Failure("Missing parameter for attribute name") }
        let path = try AttributePath(hasAttribute ? positional.removeFirst() : nil)
        var test: Tests.Function?
        if let name = positional.popFirst() {
            test = Tests.all[try text(name, "select").string]
            guard test != nil else { throw Failure("no test named '\(try name.printed().string)'") }
        }
        let rest = Arguments(positional: Array(positional), named: arguments.named)
        var kept: [Value] = []
        for element in elements {
            let value = try path.value(of: element)
            if try test?(value, rest) ?? value.isTrue == wanted { kept.append(element) }
        }
        return .object(IteratorObject("generator", kept))
    }
}

extension Value {
    /// Text in lower case; anything else as it is.
    var caseFolded: Value { text.map { .string(Text($0.string.lowercased())) } ?? self }
}

/// An attribute of elements: a name, a number, or some of them with dots between.
struct AttributePath {
    private let parts: [Value]
    private let usual: Value?

    /// - Parameter usual: What stands for an attribute that isn't there.
    init(_ path: Value?, usual: Value? = nil) throws(Failure) {
        self.usual = usual.flatMap { $0.isNone ? nil : $0 }
        switch path {
        case nil, .some(.none): parts = []
        case .int: parts = [path].compactMap(\.self)
        default:
            let text = try Filters.text(path, "attribute").string
            parts = text.split(separator: ".", omittingEmptySubsequences: false).map {
                Int($0).map(Value.int) ?? .string(String($0))
            }
        }
    }

    func value(of element: Value) throws(Failure) -> Value {
        var value = element
        for part in parts {
            if let item = try value.item(part) {
                value = item
            } else if let text = part.text {
                value =
                    try value.method(AttributeName(text.string)) ?? .undefined(Undefined(attribute: text, of: value))
            } else {
                value = .undefined(Undefined(attribute: try part.represented(), of: value))
            }
            if value.isUndefined, let usual { value = usual }
        }
        return value
    }
}

/// What elements are sorted by: themselves, or attributes with commas between.
private struct SortKeys {
    private let paths: [AttributePath]
    private let isSingle: Bool
    private let isCaseSensitive: Bool

    init(_ attribute: Value?, isCaseSensitive: Bool, single: Bool = false) throws(Failure) {
        self.isCaseSensitive = isCaseSensitive
        var paths: [AttributePath] = []
        if !single, let text = attribute?.text {
            for part in text.string.split(separator: ",") {
                paths.append(try AttributePath(Int(part).map(Value.int) ?? .string(String(part))))
            }
        } else {
            paths.append(try AttributePath(attribute))
        }
        self.paths = paths
        isSingle = paths.count == 1
    }

    func key(_ element: Value) throws(Failure) -> Value {
        var keys: [Value] = []
        for path in paths {
            let value = try path.value(of: element)
            keys.append(isCaseSensitive ? value : value.caseFolded)
        }
        return isSingle ? keys[0] : .list(keys)
    }
}

/// A group of `groupby`: a pair whose parts also have names.
private final class Group: Object {
    private let name: Value
    private let list: [Value]

    init(_ name: Value, _ list: [Value]) {
        self.name = name
        self.list = list
    }

    override var typeName: String { "_GroupTuple" }
    override var count: Int? { 2 }
    override var text: String { (try? Value.tuple([name, .list(list)]).represented().string) ?? "(…)" }
    override func elements() -> [Value]? { [name, .list(list)] }
    override func attribute(_ name: Text) -> Value? {
        name == "grouper" ? self.name : name == "list" ? .list(list) : nil
    }
    override func item(_ key: Value) -> Value? {
        key.int.flatMap { Value.index($0, count: 2) }.map { $0 == 0 ? name : .list(list) }
    }
}

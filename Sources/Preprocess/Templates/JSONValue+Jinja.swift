import Jinja
import Shared

extension JSONValue {
    /// The value as templates see it.
    ///
    /// - Parameter tag: What a mapping is known by in `RenderedMarks`.
    func jinja(tag: Int = -1) -> Value {
        switch kind {
        case .object:
            .mapping(Mapping(texts: members.map { (Text(Array($0.key)), $0.value.jinja()) }, tag: tag))
        case .array: .list(elements.map { $0.jinja() })
        case .string: .string(Text(Array(utf8 ?? UnsafeBufferPointer(start: nil, count: 0))))
        case .integer: int.map(Value.int) ?? .float(double ?? 0)
        case .number: .float(double ?? 0)
        case .boolean: .bool(bool ?? false)
        case .null: .none
        }
    }
}

/// Resolves a template's names to slots before it is rendered, so that rendering looks nothing up by name.
///
/// Names live in slots of a frame. The template has a frame, and so has each call of a macro, a call block or a recursive
/// loop. Within a frame, loops, `with`, block sets and filter blocks have a scope each: a name that is set within one is
/// another than that of the same name outside, and begins with that one's value, each time the scope is entered.
final class Scope {
    /// The layout of a frame's slots.
    final class Layout {
        /// The names of slots, which tell what is undefined.
        var names: [String] = []
        let parent: Scope?

        init(parent: Scope?) { self.parent = parent }

        func addSlot(_ name: String) -> Int {
            names.append(name)
            return names.count - 1
        }

        /// A new frame's slots.
        var emptySlots: [Value] { names.map { .undefined(Undefined(name: $0)) } }
    }

    let layout: Layout
    /// The scope around this one in the same frame.
    private let outer: Scope?
    private var slots: [String: Int] = [:]
    /// The names that begin with an outer value.
    private(set) var copies: [(slot: Int, from: SlotPath)] = []
    /// Names that the program gives, by the template's slots; only the template's own scope has such.
    private(set) var globals: [(name: String, slot: Int)] = []
    /// Names declared here that something reads.
    private(set) var readNames: Set<String> = []
    /// Whether what is here may be skipped, so that unknown filters are errors only when they are reached.
    var isConditional = false

    /// The scope of a frame.
    init(frameIn parent: Scope?) {
        layout = Layout(parent: parent)
        outer = nil
    }

    /// A scope within another's frame.
    init(in outer: Scope) {
        layout = outer.layout
        self.outer = outer
    }

    /// The slot that a name is read from.
    func slot(of name: String) -> SlotPath {
        if let slot = slots[name] {
            readNames.insert(name)
            return SlotPath(depth: 0, slot: slot)
        }
        if let outer { return outer.slot(of: name) }
        if let parent = layout.parent {
            var slot = parent.slot(of: name)
            slot.depth += 1
            return slot
        }
        let slot = layout.addSlot(name)
        slots[name] = slot
        globals.append((name, slot))
        return SlotPath(depth: 0, slot: slot)
    }

    /// The slot that a name is set in.
    func slotToSet(_ name: String) -> Int {
        if let slot = slots[name] { return slot }
        if outer == nil && layout.parent == nil { return slot(of: name).slot }
        let from: SlotPath
        if let outer {
            from = outer.slot(of: name)
        } else if let parent = layout.parent {
            var slot = parent.slot(of: name)
            slot.depth += 1
            from = slot
        } else {
            return slot(of: name).slot
        }
        let slot = declare(name)
        copies.append((slot, from))
        return slot
    }

    /// The slot of a name that is always set first, as a loop's target or a macro's parameter.
    func declare(_ name: String) -> Int {
        if let slot = slots[name] { return slot }
        let slot = layout.addSlot(name)
        slots[name] = slot
        return slot
    }
}

/// Where a name's value is found.
struct SlotPath {
    /// How many frames further out.
    var depth: Int
    var slot: Int
}

/// The values of a template's, a macro's or a recursive loop's names.
final class Frame {
    var slots: [Value]
    let parent: Frame?
    /// Whether the rendering empties it in the end.
    var isHeld = false

    init(_ slots: [Value], parent: Frame?) {
        self.slots = slots
        self.parent = parent
    }

    subscript(_ path: SlotPath) -> Value {
        if path.depth == 0 { return slots[path.slot] }
        var frame = self
        for _ in 0..<path.depth {
            guard let parent = frame.parent else { preconditionFailure("a frame too few") }
            frame = parent
        }
        return frame.slots[path.slot]
    }
}

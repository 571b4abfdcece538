/// Reads the scalar that begins with `byte`, which stands at `position`.
///
/// The text is UTF-8 and readable for three bytes behind its end, so that a truncated scalar reads what follows
/// instead of faulting.
/// - Returns: The scalar's value and its length in bytes.
@inline(__always)
func decodeScalar(_ byte: UInt8, at position: UnsafePointer<UInt8>) -> (value: UInt32, length: Int) {
    let lead = UInt32(byte)
    if lead < 0x80 { return (lead, 1) }
    let second = UInt32(position[1] & 0x3F)
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
    let third = UInt32(position[2] & 0x3F)
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, 3) }
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(position[3] & 0x3F), 4)
}

/// The number of bytes of the scalar that begins with `lead`; one for a byte that begins none.
@inline(__always)
func scalarLength(_ lead: UInt8) -> Int { lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4 }

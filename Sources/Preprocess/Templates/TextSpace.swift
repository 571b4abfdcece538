extension ArraySlice<UInt8> {
    /// The UTF-8 text without the space around it, as Jinja's `trim` and so Python's `strip` see space.
    var withoutSpaceAround: ArraySlice<UInt8> {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        guard let first, let last else { return self }
        // Most text begins and ends with a visible ASCII character.
        if (0x21...0x7E).contains(first), (0x21...0x7E).contains(last) { return self }
        let scalars = String(decoding: self, as: UTF8.self).unicodeScalars
        let leading = scalars.prefix(while: isSpace).reduce(0) { $0 + UTF8.width($1) }
        guard leading < count else { return self[endIndex...] }
        let trailing = scalars.reversed().prefix(while: isSpace).reduce(0) { $0 + UTF8.width($1) }
        return self[(startIndex + leading)..<(endIndex - trailing)]
    }
}

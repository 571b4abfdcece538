/// What the patterns of pre-tokenizers ask of a scalar.
struct ScalarClass: OptionSet {
    let rawValue: UInt8

    static let upper = ScalarClass(rawValue: 1)  // Lu, Lt
    static let lower = ScalarClass(rawValue: 2)  // Ll
    static let caseless = ScalarClass(rawValue: 4)  // Lm, Lo
    static let mark = ScalarClass(rawValue: 8)  // M
    static let number = ScalarClass(rawValue: 16)  // N
    static let space = ScalarClass(rawValue: 32)  // White_Space, \s
    static let lineEnd = ScalarClass(rawValue: 64)  // \r, \n, which are spaces too
    static let newerNumber = ScalarClass(rawValue: 128)  // N in Unicode 17.0 only, as the pre-tokenizer Digits has it
    static let letter: ScalarClass = [.upper, .lower, .caseless]

    @inline(__always)
    func contains(anyOf other: ScalarClass) -> Bool { rawValue & other.rawValue != 0 }
}

/// The class of every scalar, in Unicode 16.0.
///
/// That is the version of Hugging Face's regular expressions (tokenizers 0.22, Oniguruma 6.9.10): a scalar that a
/// later version assigned belongs to no class here, as it does there. The table has two stages, blocks of 256 scalars
/// and an index of them, and is built once from the standard library's properties.
struct ScalarClasses: @unchecked Sendable {
    static let unicodeVersion = (major: 16, minor: 0)
    static let shared = ScalarClasses()

    private let blockIndex: UnsafePointer<UInt16>
    private let blocks: UnsafePointer<UInt8>
    private let ascii: UnsafePointer<UInt8>

    /// The class of the scalar `value`, which is below 0x200000.
    @inline(__always)
    subscript(value: UInt32) -> ScalarClass {
        let block = Int(blockIndex[Int(value &>> 8)])
        return ScalarClass(rawValue: blocks[block &<< 8 | Int(value & 0xFF)])
    }

    /// The class of an ASCII scalar.
    subscript(ascii byte: UInt8) -> ScalarClass {
        @inline(__always) get { ScalarClass(rawValue: ascii[Int(byte)]) }
    }

    private init() {
        // Block 0 is of scalars without a class. Four malformed bytes can spell values up to 0x1FFFFF.
        let index = UnsafeMutablePointer<UInt16>.allocate(capacity: 0x2000)
        index.initialize(repeating: 0, count: 0x2000)
        var table = [UInt8](repeating: 0, count: 256)
        for block in [0..<0x340, 0xE00..<0xE02].joined() {
            let classes = (0..<256).map { Self.classify(UInt32(block << 8 | $0)).rawValue }
            guard classes.contains(where: { $0 != 0 }) else { continue }
            index[block] = UInt16(table.count / 256)
            table += classes
        }
        let storage = UnsafeMutablePointer<UInt8>.allocate(capacity: table.count)
        storage.initialize(from: table, count: table.count)
        blockIndex = UnsafePointer(index)
        blocks = UnsafePointer(storage)
        ascii = blocks + Int(index[0]) << 8
    }

    private static func classify(_ value: UInt32) -> ScalarClass {
        guard let scalar = Unicode.Scalar(value) else { return [] }
        if value == 10 || value == 13 { return [.space, .lineEnd] }
        // Unicode 17.0 made this small letter, ʕ, one without case.
        if value == 0x295 { return .lower }
        let properties = scalar.properties
        let found: ScalarClass =
            switch properties.generalCategory {
            case .uppercaseLetter, .titlecaseLetter: .upper
            case .lowercaseLetter: .lower
            case .modifierLetter, .otherLetter: .caseless
            case .nonspacingMark, .spacingMark, .enclosingMark: .mark
            case .decimalNumber, .letterNumber, .otherNumber: .number
            default: properties.isWhitespace ? .space : []
            }
        guard !found.isEmpty, let age = properties.age else { return [] }
        if (age.major, age.minor) <= unicodeVersion { return found }
        return found == .number && age.major == 17 ? .newerNumber : []
    }
}

/// Checks that an LMDB file's pages can be followed safely.
///
/// LMDB trusts its file: a damaged page number or length sends it outside the map, which ends the process. This walks
/// the pages of the tree once, without the values on pages of their own, and compares every offset with the file's
/// size. The layout is that of LMDB 0.9, data format 1: a page has a header of 16 bytes (number, flags, the bounds of
/// its free space), offsets of nodes from its beginning, and nodes from its end; a node has 8 bytes, a key and a value
/// or the number of the page where the value begins.
package struct LMDBFileCheck {
    private static let magic: UInt32 = 0xBEEF_C0DE
    private static let noPage = UInt64.max
    private static let (branch, leaf): (UInt16, UInt16) = (1, 2)
    private static let headerSize = 16
    private static let maxKeySize = 511

    private let file: MappedFile
    private var pageSize = 0
    private var pageCount = 0
    private var visited = 0

    package init(_ path: String) throws(FileError) { file = try MappedFile(path) }

    /// - Throws: `StoreError` if a page leads out of the file or isn't one of the kind that it should be.
    package func run() throws(StoreError) {
        var walk = self
        try walk.checkTrees()
    }

    private mutating func checkTrees() throws(StoreError) {
        guard file.bytes.count >= 1024, read(16, UInt32.self) == Self.magic else { throw failure("isn't an LMDB file") }
        pageSize = Int(read(16 + 24, UInt32.self))
        guard (512...65536).contains(pageSize), pageSize.nonzeroBitCount == 1, file.bytes.count >= 2 * pageSize else {
            throw failure("is cut off or damaged: its first page can't be read")
        }
        let second = pageSize + 16
        guard read(second, UInt32.self) == Self.magic, Int(read(second + 24, UInt32.self)) == pageSize else {
            throw failure("is damaged: its second page can't be read")
        }
        // The page of the later transaction counts, as it does to LMDB.
        let transactions = (read(16 + 128, UInt64.self), read(second + 128, UInt64.self))
        let meta = transactions.0 < transactions.1 ? second : 16
        let lastPage = read(meta + 120, UInt64.self)
        guard lastPage < UInt64(file.bytes.count / pageSize) else {
            throw failure("is cut off: it should have \(lastPage &+ 1) pages of \(pageSize) bytes")
        }
        pageCount = Int(lastPage) + 1
        // The list of free pages has integers as keys, and LMDB keeps there that the environment is a single file; the
        // records' tree has no flags.
        for (tree, flags) in [(meta + 24, UInt16(8)), (meta + 72, 0)] {
            let depth = Int(read(tree + 6, UInt16.self))
            let root = read(tree + 40, UInt64.self)
            guard read(tree + 4, UInt16.self) & ~0x4000 == flags, depth <= 32 else {
                throw failure("is damaged: bad tree")
            }
            guard root != Self.noPage else { continue }
            try check(page: root, levels: depth)
        }
    }

    private mutating func check(page number: UInt64, levels: Int) throws(StoreError) {
        visited += 1
        guard number >= 2, number < UInt64(pageCount), levels >= 1, visited <= pageCount else {
            throw failure("is damaged: a page leads to page \(number)")
        }
        let start = Int(number) * pageSize
        let flags = read(start + 10, UInt16.self)
        let (lower, upper) = (Int(read(start + 12, UInt16.self)), Int(read(start + 14, UInt16.self)))
        let count = (lower - Self.headerSize) / 2
        guard read(start, UInt64.self) == number, flags == (levels == 1 ? Self.leaf : Self.branch),
            lower >= Self.headerSize, lower <= upper, upper <= pageSize, count >= (levels == 1 ? 1 : 2)
        else { throw failure("is damaged: page \(number) can't be read") }
        for i in 0..<count {
            let node = Int(read(start + Self.headerSize + 2 * i, UInt16.self))
            guard node >= upper, node + 8 <= pageSize else { throw failure("is damaged: page \(number), node \(i)") }
            let low = UInt64(read(start + node, UInt32.self))
            let nodeFlags = read(start + node + 4, UInt16.self)
            let keySize = Int(read(start + node + 6, UInt16.self))
            let key = node + 8
            guard keySize <= Self.maxKeySize, key + keySize <= pageSize else {
                throw failure("is damaged: page \(number), node \(i)")
            }
            if levels > 1 {
                try check(page: low | UInt64(nodeFlags) << 32, levels: levels - 1)
                continue
            }
            switch nodeFlags {
            case 0 where key + keySize + Int(low) <= pageSize: break
            case 1 where key + keySize + 8 <= pageSize:
                let first = read(start + key + keySize, UInt64.self)
                let pages = (UInt64(Self.headerSize) + low + UInt64(pageSize) - 1) / UInt64(pageSize)
                guard first >= 2, first < UInt64(pageCount), pages <= UInt64(pageCount) - first else { fallthrough }
            default: throw failure("is damaged: page \(number), node \(i)")
            }
        }
    }

    private func read<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
        T(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    private func failure(_ message: String) -> StoreError { StoreError(file.path, message) }
}

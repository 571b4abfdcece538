@preconcurrency import Glibc
import Shared

/// How the ranks of one build work together: through files in a directory beside the store.
///
/// Every rank reads the whole dataset, which is quick, and makes samples of every so many-th batch of records, which isn't.
/// Rank 0 holds the build's lock, tells the others from which record on there is something to do, takes their batches
/// from the files they write, and writes the store as it would alone. So its bytes don't depend on the number of ranks.
struct RankExchange {
    let place: LaunchedRank
    private let store: String
    /// What a directory of ranks has behind its store's path and before the run's name.
    static let suffix = ".ranks-"
    private var directory: String { "\(store)\(Self.suffix)\(place.launch)" }

    /// - Parameter store: The store's path.
    init(_ place: LaunchedRank, store: String) {
        self.place = place
        self.store = store
    }

    /// Whose batch it is, counted from 0.
    func owner(ofBatch number: Int) -> Int { number % place.count }

    func isOwn(_ number: Int) -> Bool { owner(ofBatch: number) == place.rank }

    /// Removes what the ranks of builds that were ended have left beside a store.
    ///
    /// Only who holds the store's lock may do so: ranks write nothing before their rank 0 has it.
    static func removeLeftovers(of store: String) throws {
        let (parent, name) = (Shared.directory(of: store), String(store.split(separator: "/").last ?? ""))
        for other in try listDirectory(parent) where other.hasPrefix("\(name)\(suffix)") {
            try removeDirectory("\(parent)/\(other)")
        }
    }

    // MARK: - Rank 0

    /// Tells the other ranks what to do.
    /// - Parameter skip: Records that are in the store already; nil if there is nothing to do.
    func begin(skip: Int?) throws {
        try makeDirectory(directory)
        try writeFile("\(directory)/plan", "\(skip.map(String.init) ?? "nothing")\n".utf8)
    }

    /// What the other ranks write, in their order.
    func readers() -> [RecordFileReader] { (0..<place.count).map { RecordFileReader(recordFile($0)) } }

    /// Waits for a batch of another rank.
    func take(_ number: Int, from readers: [RecordFileReader]) throws -> [SourceRecord] {
        while true {
            if let records = try readers[owner(ofBatch: number)].next(number: number) { return records }
            try Interrupt.check()
            usleep(2000)
        }
    }

    /// Removes the files when all is read, and the other ranks know what to do.
    func end() throws {
        for rank in 1..<place.count {
            while !fileExists(recordFile(rank)) {
                try Interrupt.check()
                usleep(2000)
            }
        }
        try removeDirectory(directory)
    }

    // MARK: - Other ranks

    /// Waits until rank 0 says from which record on there is something to do; nil if there is nothing.
    func plan() throws -> Int? {
        while !fileExists("\(directory)/plan") {
            try Interrupt.check()
            usleep(5000)
        }
        let text = String(decoding: try readFile("\(directory)/plan"), as: UTF8.self)
        guard let skip = Int(text.prefix { $0 != "\n" }) else {
            _ = try writer()
            return nil
        }
        return skip
    }

    func writer() throws(FileError) -> RecordFileWriter { try RecordFileWriter(recordFile(place.rank)) }

    private func recordFile(_ rank: Int) -> String { "\(directory)/rank-\(rank)" }
}

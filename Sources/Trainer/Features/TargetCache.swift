import Shared
import Synchronization

/// The target's features of samples, kept on disk, so that they are computed once: `--target-cache`.
///
/// A record is found by the tokens of its sequence, in a file that is named after the target's weights, the layers and
/// the precision: so it serves every store and every run in which the same tokens occur, and half a cache is as good
/// as its half. Features are rounded to what is kept wherever they come from, so that it makes no difference whether a
/// sequence is in the cache.
final class TargetCache: Sendable {
    let path: String
    private let store: FeatureStore
    private let type: FeatureRecord.NumberType
    private let limit: Int
    private let state = Mutex(State())

    private struct State {
        var counts = Counts()
        /// Whether LMDB can still be trusted to find records.
        var isReadable = true
        /// Why nothing more is kept.
        var end: String?
    }

    /// What has become of this rank's sequences.
    struct Counts: Equatable, Summable {
        /// Read from the cache.
        var found = 0
        var computed = 0
        /// Records that were there and damaged; their sequences were computed.
        var damaged = 0
        /// Of the computed ones, those that were written.
        var kept = 0
        var keptTokens = 0
        var keptBytes = 0

        mutating func visitNumbers(_ visit: NumberVisitor) {
            visit(&found)
            visit(&computed)
            visit(&damaged)
            visit(&kept)
            visit(&keptTokens)
            visit(&keptBytes)
        }

        /// What has been counted since `earlier`.
        func since(_ earlier: Counts) -> Counts {
            var counts = self
            counts.numbers = zip(numbers, earlier.numbers).map(-)
            return counts
        }
    }

    /// - Parameters:
    ///   - identity: Of the target and what is computed of it; see `identity`.
    ///   - limit: The largest that the file gets, in bytes.
    init(directory: String, identity: Digest, type: FeatureRecord.NumberType, limit: Int) throws {
        try makeDirectory(directory)
        if let network = try networkFileSystem(at: directory) {
            throw StoreError(
                directory, "is on \(network), where hosts would destroy each other's features; give a local directory")
        }
        path = "\(directory)/\(identity.hex).features"
        store = try FeatureStore(path, limit: limit)
        self.type = type
        self.limit = limit
    }

    var counts: Counts { state.withLock(\.counts) }

    /// Why nothing more is kept, if so: the limit, or the disk.
    var end: String? { state.withLock(\.end) }

    /// Reads a sample's features.
    ///
    /// - Parameters:
    ///   - auxiliary: The outputs of the layers that the draft sees, [tokens, layers · hidden].
    ///   - last: The last hidden state, after the norm: [tokens, hidden].
    /// - Returns: Whether they are there; a damaged record is logged, and counts as absent.
    func read(_ sample: Sample, auxiliary: Matrix, last: Matrix) -> Bool {
        guard state.withLock(\.isReadable) else { return false }
        do {
            let isThere = try store.read(sample.featuresKey, type, into: [auxiliary.part, last.part]) { count, body in
                last.compute.forEach(count) { index, _ in body(index) }
            }
            guard isThere else { return false }
            state.withLock { $0.counts.found += 1 }
            return true
        } catch let error as StoreError {
            state.withLock { $0.counts.damaged += 1 }
            Log.warning("\(error); its sequence is computed again")
        } catch {
            state.withLock { state in
                state.isReadable = false
                state.end = "\(error)"
            }
            Log.warning("\(error); the target's features are computed each time from now on")
        }
        return false
    }

    /// Takes in a sample's features that were computed, and keeps them if there is room.
    func write(_ sample: Sample, auxiliary: Matrix, last: Matrix) {
        let isOpen = state.withLock { state in
            state.counts.computed += 1
            return state.end == nil
        }
        guard isOpen else { return }
        let record = FeatureRecord.encode([auxiliary.part, last.part], type)
        do throws(LMDBError) {
            try store.write([(sample.featuresKey, record)])
        } catch {
            let reason =
                error.isMapFull
                ? "\(path): has reached its limit of \(shortNumber(Double(limit)))B (--target-cache-size)" : "\(error)"
            state.withLock { $0.end = reason }
            Log.warning("\(reason); the target's features of other samples are computed each time")
            return
        }
        state.withLock { state in
            state.counts.kept += 1
            state.counts.keptTokens += last.rows
            state.counts.keptBytes += record.count
        }
    }

    /// Rounds features to what is kept of them.
    func round(_ matrix: Matrix) {
        guard type == .bfloat16 else { return }
        matrix.compute.ranges(matrix.rows, atLeast: 16) { range in
            for row in range {
                let numbers = matrix.row(row)
                for i in 0..<matrix.columns { numbers[i] = BFloat16.float(BFloat16.bits(numbers[i])) }
            }
        }
    }

    /// What the cache was good for, over all ranks, in a line.
    ///
    /// Collective: call on all ranks.
    func summary(_ world: any Communicator) -> String {
        let sums = counts.summed(over: world)
        let kept =
            sums.kept > 0
            ? ", \(sums.kept) kept in \(sums.keptBytes / max(1, sums.keptTokens)) bytes a token" : ", none kept"
        let damaged = sums.damaged > 0 ? ", \(sums.damaged) of them for a damaged record" : ""
        return "target cache \(path): \(sums.found) of \(sums.found + sums.computed) sequences found, "
            + "\(sums.computed) computed\(damaged)" + (sums.computed > 0 ? kept : "")
    }
}

extension TargetCache {
    /// To be raised when the target computes other values than before from the same weights, or records change.
    private static let version = 2

    /// Tells targets and what is computed of them apart: by the bytes of the weights and the configuration, the layers,
    /// who multiplies in which precision, as their last bits differ, and what features are rounded to.
    ///
    /// - Parameter check: Runs now and then while weights are read, and may end it by throwing.
    static func identity(
        targetModelPath: String, targetLayers: [Int], type: FeatureRecord.NumberType, _ compute: Compute,
        check: () throws -> Void = {}
    ) throws -> Digest {
        let weights = try WeightDirectory(targetModelPath).files
        let files = Set(weights + [try ModelConfiguration(directory: targetModelPath).path]).sorted()
        let digests = try files.map { try Digest(ofFile: $0, check: check).hex }
        let rest = ["\(version)", "\(targetLayers)", compute.description, type.rawValue]
        return Digest(of: (digests + rest).joined(separator: "\n"))
    }
}

extension Sample {
    /// The digest of the tokens: all that the target's features depend on.
    fileprivate var featuresKey: Digest { inputIDs.withUnsafeBytes { Digest(of: $0) } }
}

extension Matrix {
    fileprivate var part: FeatureRecord.Part {
        FeatureRecord.Part(start: start, rows: rows, columns: columns, stride: stride)
    }
}

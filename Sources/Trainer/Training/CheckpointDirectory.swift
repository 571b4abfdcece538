@preconcurrency import Glibc
import Shared

/// The directory of a run's checkpoints: their order, the links to them, and how many are kept.
extension Checkpoints {
    /// Checkpoints by step, the oldest first.
    ///
    /// One whose state can't be read is the newest as far as we know, so that it is looked at and named.
    func names() throws -> [String] { try steps().map(\.name) }

    private func steps() throws -> [(name: String, step: Int)] {
        let steps = try listDirectory(directory).compactMap { name -> (name: String, step: Int)? in
            guard name.hasPrefix("step_") || name.hasPrefix("epoch_") else { return nil }
            return (name, (try? CheckpointState.read("\(directory)/\(name)").state.step) ?? Int.max)
        }
        return steps.sorted { ($0.step, $0.name) < ($1.step, $1.name) }
    }

    /// Puts a checkpoint that was written aside in its place.
    ///
    /// One that is there already, of the same step, is moved away first and removed last.
    func replace(_ final: String, by aside: String) throws {
        let replaced = "\(directory)/.\(final.dropFirst(directory.count + 1)).replaced"
        try removeDirectory(replaced)
        if fileExists(final), rename(final, replaced) != 0 { throw FileError(replaced, "rename \(final) to it") }
        guard rename(aside, final) == 0 else { throw FileError(final, "rename \(aside) to it") }
        try syncDirectory(directory)
        try removeDirectory(replaced)
    }

    /// Clears away what a run left that was ended while it wrote a checkpoint; one that was about to be replaced is
    /// put back.
    func tidy() throws {
        guard fileExists(directory) else { return }
        for name in try listDirectory(directory) where name.hasPrefix(".") {
            let path = "\(directory)/\(name)"
            let final = "\(directory)/\(name.dropFirst().split(separator: ".").first ?? "")"
            if name.hasSuffix(".replaced"), !fileExists(final) {
                guard rename(path, final) == 0 else { throw FileError(final, "rename \(path) to it") }
            } else if name.hasSuffix(".replaced") || name.hasSuffix(".partial") {
                if unlink(path) != 0 { try removeDirectory(path) }
            }
        }
    }

    /// Points a link to a checkpoint: made aside and renamed, so that it always points to one.
    func link(_ name: String, to target: String) throws(FileError) {
        let (path, aside) = ("\(directory)/\(name)", "\(directory)/.\(name).partial")
        unlink(aside)
        guard symlink(target, aside) == 0 else { throw FileError(aside, "link it to \(target)") }
        guard rename(aside, path) == 0 else { throw FileError(path, "link it to \(target)") }
    }

    /// Removes the oldest ones; what is damaged neither counts as kept nor is removed.
    func prune() throws {
        guard let keepLast else { return }
        let kept = ["latest", "best"].compactMap { linkTarget("\(directory)/\($0)") }
        let readable = try steps().filter { $0.step < Int.max }.map(\.name)
        for name in readable.dropLast(keepLast) where !kept.contains(name) {
            try removeDirectory("\(directory)/\(name)")
        }
    }

    private func linkTarget(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

import Shared

/// Held-out samples whose prompts are trained on: what is measured on them says little about others.
enum HeldOutOverlap {
    /// The indices of the held-out samples whose prompt, token by token, is one of the training samples'.
    ///
    /// A prompt is what stands before the first supervised token. Samples that can't be read are training's to report.
    ///
    /// - Parameter check: Runs now and then, and may end it by throwing.
    static func find(
        _ heldOut: any TrainingSamples, in training: any TrainingSamples, check: () throws -> Void = Interrupt.check
    ) throws -> [Int] {
        var wanted: [Digest: [Int]] = [:]
        for number in 0..<heldOut.count {
            if number.isMultiple(of: 4096) { try check() }
            if let digest = promptDigest(number, heldOut) { wanted[digest, default: []].append(number) }
        }
        var found: Set<Int> = []
        for number in 0..<training.count where !wanted.isEmpty {
            if number.isMultiple(of: 4096) { try check() }
            guard let digest = promptDigest(number, training), let numbers = wanted.removeValue(forKey: digest) else {
                continue
            }
            found.formUnion(numbers)
        }
        return found.sorted()
    }

    /// Says in the log if there are any.
    static func warn(
        _ heldOut: any TrainingSamples, in training: any TrainingSamples, check: () throws -> Void
    ) throws {
        let found = try find(heldOut, in: training, check: check)
        guard !found.isEmpty else { return }
        let some = found.prefix(8).map(String.init).joined(separator: ", ") + (found.count > 8 ? ", …" : "")
        Log.warning(
            "\(found.count) of \(heldOut.count) held-out samples have prompts that are trained on (\(some)): leave them "
                + "out of --eval-data-path; Preprocess inspect --check-overlap lists them")
    }

    private static func promptDigest(_ number: Int, _ samples: any TrainingSamples) -> Digest? {
        guard let sample = try? samples.sample(at: number), let first = sample.lossMask.firstIndex(of: true), first > 0
        else { return nil }
        return sample.inputIDs[..<first].withUnsafeBytes { Digest(of: $0) }
    }
}

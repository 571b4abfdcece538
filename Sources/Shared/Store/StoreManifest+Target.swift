extension StoreManifest {
    /// What of a target isn't what the store was built for, in a sentence that names both; nil if all is.
    public func mismatch(with target: TargetIdentity, at path: String) -> String? {
        guard vocabSize == target.vocabSize else {
            return "has tokens of \(targetModelPath), whose vocabulary has \(vocabSize); that of \(path) has "
                + "\(target.vocabSize)"
        }
        if let own = target.tokenizer, let difference = tokenizer.difference(from: own) {
            return "has tokens of another tokenizer: that of \(targetModelPath) is not that of \(path) (\(difference))"
        }
        let ends = specialTokens.ends
        // A GGUF file names fewer tokens than the directory that it was converted from.
        guard let own = target.tokenizer, own.files.keys == tokenizer.files.keys else { return nil }
        guard let stray = target.endTokens.first(where: { id in !ends.contains { Int($0) == id } }) else { return nil }
        let known = specialTokens.filter(\.isEnd).map { "\($0.id) '\($0.name)'" }.joined(separator: ", ")
        return "was built without the special token \(stray), which ends texts of \(path); those of \(targetModelPath) "
            + "were \(known.isEmpty ? "none" : known)"
    }
}

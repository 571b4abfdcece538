import Shared

/// What the target's features will take in `--target-cache`, at most: their exponents are compressed there, which
/// depends on the values.
struct CachePlan {
    /// Of the layers that the draft sees and the last hidden state.
    let bytesPerToken: Int
    /// Tokens that `--target-cache-size` has room for, at least.
    let capacity: Int

    /// - Parameters:
    ///   - type: What the features are rounded to.
    ///   - limit: The largest that the cache gets, in bytes.
    ///   - targetLayers: How many of the target's layers the draft sees.
    init(_ type: FeatureRecord.NumberType, limit: Int, targetLayers: Int, hiddenSize: Int) {
        bytesPerToken = (targetLayers + 1) * hiddenSize * type.byteCount
        capacity = limit / bytesPerToken
    }
}

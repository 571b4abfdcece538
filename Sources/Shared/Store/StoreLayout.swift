/// How samples are put together in a store: what its bytes depend on besides the samples.
public struct StoreLayout: Equatable, Sendable {
    /// A frame is full with this many tokens.
    public var groupTokens = 4096
    /// A block, which is one record of frames, is full with this many bytes.
    public var blockBytes = 128 << 10
    /// Tokens are ranked by how often they occur among this many first ones.
    public var rankTokens = 1_000_000
    /// zstd's.
    public var compressionLevel = 3

    public init() {}

    var settings: [StoreManifest.Setting] {
        [
            .init("tokens a group", "\(groupTokens)"), .init("bytes a block", "\(blockBytes)"),
            .init("tokens that ranks are taken from", "\(rankTokens)"),
            .init("compression level", "\(compressionLevel)"),
        ]
    }
}

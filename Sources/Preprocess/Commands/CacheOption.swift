import Shared

/// The one directory of a user's stores, which every command about stores needs.
struct CacheOption: Options {
    @Option("Directory of the sample stores.", value: "DIR") var cacheDir: String
}

import Foundation

/// Where reference numbers and small models for tests are.
public enum Fixtures {
    /// The repository's `fixtures` folder.
    public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "fixtures")

    /// The folder with `targets/`, `eagle3/`, `dflash/`, `dspark/` and `text/`: what `EYRIE_GOLDENS` names, or the copies in `fixtures`.
    public static let goldens =
        ProcessInfo.processInfo.environment["EYRIE_GOLDENS"].map { URL(filePath: $0) } ?? folder
}

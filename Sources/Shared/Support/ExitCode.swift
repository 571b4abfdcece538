/// The exit codes of both programs.
public enum ExitCode {
    public static let done: Int32 = 0
    public static let failed: Int32 = 1
    public static let usage: Int32 = 64
    public static let interrupted: Int32 = 130
}

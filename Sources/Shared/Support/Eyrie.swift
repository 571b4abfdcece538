/// Facts about the project itself.
public enum Eyrie {
    public static let version = "0.1.0"
}

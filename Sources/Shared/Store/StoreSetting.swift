/// Names of a store's settings that other programs ask for.
public enum StoreSetting {
    public static let chatTemplate = "chat template"
    public static let maxLength = "max length"
    public static let overflow = "overflow"
    /// Names of roles besides the known ones, `name=role` with a space between each two.
    public static let roleMap = "role map"
}

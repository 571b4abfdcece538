/// Names of a store's settings that other programs ask for.
public enum StoreSetting {
    public static let chatTemplate = "chat template"
    public static let maxLength = "max length"
    public static let overflow = "overflow"
}

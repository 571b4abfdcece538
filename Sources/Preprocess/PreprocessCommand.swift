import Shared

@main
struct PreprocessCommand {
    static func main() {}
}

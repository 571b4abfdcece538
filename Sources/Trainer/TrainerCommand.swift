import Shared

@main
struct TrainerCommand {
    static func main() {}
}

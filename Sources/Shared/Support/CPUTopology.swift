import Glibc

/// Some CPUs by the physical core and the NUMA node that each belongs to, as the kernel describes them.
public struct CPUTopology: Sendable {
    /// The CPUs, in the order in which threads are best put on them: one of each core first, cores of a node together.
    public let order: [Int]
    /// Physical cores: of the CPUs in `order`, as many have a core of their own.
    public let cores: Int

    /// Those that this process may use.
    public static let allowed = CPUTopology(Machine.allowedCPUs)

    /// All of the machine's.
    public static let machine = CPUTopology(
        line("/sys/devices/system/cpu/online").map(numbers) ?? Machine.allowedCPUs)

    /// - Parameter root: Where the kernel describes them; what isn't described there is a core of its own on one node.
    public init(_ cpus: [Int], root: String = "/sys/devices/system") {
        struct Place {
            let cpu, node, package, core: Int
        }
        let nodes = (0..<1024).lazy.map { Self.line("\(root)/node/node\($0)/cpulist") }.prefix { $0 != nil }
        var nodeOf: [Int: Int] = [:]
        for (node, list) in nodes.enumerated() { for cpu in Self.numbers(list ?? "") { nodeOf[cpu] = node } }
        let places = cpus.map { cpu in
            let topology = "\(root)/cpu/cpu\(cpu)/topology"
            let number = { (name: String) in Self.line("\(topology)/\(name)").flatMap { Int($0) } }
            return Place(
                cpu: cpu, node: nodeOf[cpu] ?? 0, package: number("physical_package_id") ?? 0,
                core: number("core_id") ?? -1 - cpu)
        }
        let sorted = places.sorted {
            ($0.node, $0.package, $0.core, $0.cpu) < ($1.node, $1.package, $1.core, $1.cpu)
        }
        // How many CPUs of its core come before each.
        var siblings: [[Int]: Int] = [:]
        let ranked = sorted.map { place in
            let core = [place.node, place.package, place.core]
            defer { siblings[core, default: 0] += 1 }
            return (cpu: place.cpu, turn: siblings[core, default: 0])
        }
        let turns = 0...(ranked.map(\.turn).max() ?? 0)
        order = turns.flatMap { turn in ranked.filter { $0.turn == turn }.map(\.cpu) }
        cores = siblings.count
    }

    /// The numbers of a list as the kernel writes it: "0-3,8".
    static func numbers(_ list: String) -> [Int] {
        list.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
    }

    /// The first line of a file; nil if there is none.
    private static func line(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

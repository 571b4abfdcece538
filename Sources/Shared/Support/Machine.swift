import CMachine
@preconcurrency import Glibc

/// Facts about the machine and this process.
public enum Machine {
    /// CPUs that this process may run on: its affinity mask before threads were bound, which mpirun and taskset narrow.
    public static let availableCPUs = allowedCPUs.isEmpty ? Int(machine_available_cpus()) : allowedCPUs.count

    /// These CPUs' numbers, ascending; none if the system doesn't tell.
    public static let allowedCPUs = currentCPUs

    /// Those of the calling thread now.
    static var currentCPUs: [Int] {
        var cpus = [Int32](repeating: 0, count: 1024)
        let count = machine_allowed_cpus(&cpus, Int32(cpus.count))
        return cpus.prefix(Int(count)).map { Int($0) }
    }

    /// Has the calling thread run on some CPUs alone, if the system agrees.
    public static func bindThread(to cpus: [Int]) {
        guard !cpus.isEmpty else { return }
        // Read before this thread has fewer: a constant is computed when it is first asked for.
        _ = allowedCPUs
        _ = machine_bind_thread(cpus.map { Int32($0) }, Int32(cpus.count))
    }

    /// Whether this CPU has AVX-512 F, BW, DQ and VL.
    public static var hasAVX512: Bool { machine_has_avx512() != 0 }

    /// Whether this CPU multiplies pairs of bfloat16: AVX512-BF16.
    public static var hasBFloat16: Bool { machine_has_bfloat16() != 0 }

    /// The vector extensions that this program was compiled to use.
    public static var compiledFeatures: String {
        let text = String(cString: machine_compiled_features()).trimmingSuffix(while: { $0 == " " })
        return text.isEmpty ? "baseline" : text
    }

    /// Tells the CPU that this thread waits for another one.
    package static func pause() { machine_pause() }

    /// Has the allocator give memory back as soon as it is freed, of pieces of at least `bytes`.
    ///
    /// By itself it would keep pieces of up to 32 MB once one of that size was freed.
    public static func returnFreedMemory(from bytes: Int32) { machine_return_freed_memory(bytes) }

    /// The largest resident set that this process has had, in bytes.
    public static var peakResidentBytes: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }
}

extension StringProtocol {
    /// The text without the characters at its end that fulfil a condition.
    public func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var end = endIndex
        while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
        return String(self[..<end])
    }
}

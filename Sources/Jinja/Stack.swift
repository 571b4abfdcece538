import Glibc

/// How far evaluation may go down the stack of its thread, whichever that is.
enum Stack {
    /// An address in the frame of the caller.
    @inline(__always)
    static var position: UInt {
        var here: UInt8 = 0
        return withUnsafeMutablePointer(to: &here) { UInt(bitPattern: $0) }
    }

    /// Bytes below the frame in which a rendering begins that it may use: half of what threads have by default, at most
    /// 4 MiB.
    ///
    /// The default is what `ulimit -s` says, which is also what the main thread has, or 2 MiB without a limit there.
    /// The other half is for what called the rendering, and for functions that call themselves no further.
    static let usable: Int = {
        var attributes = pthread_attr_t()
        var size = 0
        guard pthread_attr_init(&attributes) == 0 else { return 512 << 10 }
        defer { pthread_attr_destroy(&attributes) }
        guard pthread_attr_getstacksize(&attributes, &size) == 0 else { return 512 << 10 }
        return min(size / 2, 4 << 20)
    }()
}

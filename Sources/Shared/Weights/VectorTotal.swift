extension SIMD16<Float> {
    /// The sum of all elements, by halves, each an instruction; the library's `sum` is a call.
    @inlinable public var total: Float {
        @inline(__always) get {
            let eight = lowHalf + highHalf
            let four = eight.lowHalf + eight.highHalf
            let two = four.lowHalf + four.highHalf
            return two.x + two.y
        }
    }
}

import Testing

extension Trait where Self == TimeLimitTrait {
    /// For what could take hours if it weren't linear.
    ///
    /// The time includes waiting for the tests that run at the same time, so that the limit is generous.
    public static var mayNotHang: Self { .timeLimit(.minutes(20)) }
}

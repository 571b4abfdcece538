/// Is told by a backward pass how far it is.
protocol GradientObserver: AnyObject {
    /// No more is added to the gradients of this parameter and of all that were declared after it.
    func areFinal(from parameter: Parameter)
    /// Lets what is under way move on.
    func poll()
}

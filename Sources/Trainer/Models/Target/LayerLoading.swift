import Glibc
import Shared

/// The reading of a target's layers, where it waits until they run: from a full cache of features they never do.
final class LayerLoading {
    private var plan: WeightPlan?

    func wait(for plan: WeightPlan) { self.plan = plan }

    /// Reads the layers, if that was put off.
    func finish() {
        guard let plan else { return }
        self.plan = nil
        // In the midst of a step, which goes on to its end: nothing ends it but what ends the program.
        do {
            try Profile.measure(.loading) { try plan.fill([.layers]) {} }
        } catch {
            Log.error("\(error)")
            _exit(ExitCode.failed)
        }
    }
}

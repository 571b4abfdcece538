/// Why a dataset can't be made into a store.
struct DatasetError: Error, Equatable, CustomStringConvertible {
    let path: String
    let message: String
    var description: String { "\(path): \(message)" }
}

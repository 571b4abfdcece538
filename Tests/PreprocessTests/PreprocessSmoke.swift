import Testing

@testable import Preprocess

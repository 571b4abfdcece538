extension Unicode.Scalar {
    /// What Python's `str.isalpha` holds for.
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    var isDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }
    var isCased: Bool {
        properties.isUppercase || properties.isLowercase || properties.generalCategory == .titlecaseLetter
    }
}

extension Text {
    func lowercased(_ budget: Budget) throws(Failure) -> Text {
        if isASCII { return try changed(0x41...0x5A, budget) }
        return try mapped(budget) { $0.properties.lowercaseMapping }
    }

    func uppercased(_ budget: Budget) throws(Failure) -> Text {
        if isASCII { return try changed(0x61...0x7A, budget) }
        return try mapped(budget) { $0.properties.uppercaseMapping }
    }

    /// The text with the letters of a range in the other case; all of it is ASCII.
    private func changed(_ letters: ClosedRange<UInt8>, _ budget: Budget) throws(Failure) -> Text {
        try budget.work(bytes: utf8.count)
        guard utf8.contains(where: letters.contains) else { return self }
        return try budget.text(utf8.lazy.map { letters.contains($0) ? $0 ^ 0x20 : $0 })
    }

    /// The text of what each character becomes.
    func mapped(_ budget: Budget, _ change: (Unicode.Scalar) -> String) throws(Failure) -> Text {
        try budget.work(bytes: utf8.count)
        var text = TextBuilder(budget)
        for scalar in scalars { try text.append(change(scalar)) }
        return try text.text()
    }

    /// The first character upper case, the others lower.
    func capitalized(_ budget: Budget) throws(Failure) -> Text {
        var isFirst = true
        return try mapped(budget) { scalar in
            defer { isFirst = false }
            return isFirst ? scalar.properties.titlecaseMapping : scalar.properties.lowercaseMapping
        }
    }

    /// Each word's first character upper case, the others lower.
    func titled(_ budget: Budget) throws(Failure) -> Text {
        var isWithinWord = false
        return try mapped(budget) { scalar in
            defer { isWithinWord = scalar.isCased }
            return isWithinWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
        }
    }

    func swappedCase(_ budget: Budget) throws(Failure) -> Text {
        try mapped(budget) {
            $0.properties.isUppercase ? $0.properties.lowercaseMapping : $0.properties.uppercaseMapping
        }
    }

    var isIdentifier: Bool {
        var scalars = scalars
        guard let first = scalars.next(), first == "_" || first.properties.isXIDStart else { return false }
        return scalars.allSatisfy(\.properties.isXIDContinue)
    }

    func hasCase(lower: Bool) -> Bool {
        var found = false
        for scalar in scalars where scalar.isCased {
            guard lower ? scalar.properties.isLowercase : scalar.properties.isUppercase else { return false }
            found = true
        }
        return found
    }
}

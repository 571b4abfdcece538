#!/usr/bin/env bash
# Passes the tests: those of Swift, and the programs under mpirun and with faults. The last line counts them.
#
# usage: scripts/test.sh [OPTIONS OF swift test]    as in scripts/test.sh --filter RMSNorm, which leaves out the programs'

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# What reads stores from Python; the test that needs it is skipped where it isn't.
# shellcheck disable=SC2034  # setup.sh uses it
more_packages=(python3-lmdb python3-zstandard)
# shellcheck source=setup.sh
source "$here/setup.sh"
[ -n "${EYRIE_PYTHON:-}" ] || ! /usr/bin/python3 -c 'import lmdb, zstandard' 2>/dev/null ||
    export EYRIE_PYTHON=/usr/bin/python3

# Numeric tests need optimized code; and their objects a folder of their own, so that the release build keeps its own.
build=$root/.build-test
results=$(mktemp -d)
suites=(mpi faults cache)
processes=()
trap 'kill "${processes[@]}" 2>/dev/null || true; rm -rf "$results"' EXIT
passed=0
failed=0

say "Swift tests"
options=(--package-path "$root" --scratch-path "$build" -c release -Xswiftc -enable-testing)
code=0
if swift build "${options[@]}" --build-tests >&2; then
    swift test "${options[@]}" --skip-build --xunit-output "$results/tests.xml" "$@" || code=$?
else
    code=$?
fi
if counts=$("$python" - "$results/tests-swift-testing.xml" 2>/dev/null <<'END'
import sys, xml.etree.ElementTree
suite = xml.etree.ElementTree.parse(sys.argv[1]).getroot().find("testsuite")
total, failed, skipped = (int(suite.get(key) or 0) for key in ("tests", "failures", "skipped"))
print(total - failed - skipped, failed)
END
); then
    read -r passed failed <<<"$counts"
fi
if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1 # they weren't built, or didn't run to their end
fi

if [ $# -eq 0 ]; then
    say "The trainer's Swift tests with eight threads, whatever the machine has"
    EYRIE_TEST_THREADS=8 swift test "${options[@]}" --skip-build --filter '^TrainerTests\.' || failed=$((failed + 1))
    # Side by side, as each waits much: for processes that begin, for disks and for signals.
    for suite in "${suites[@]}"; do
        EYRIE_COUNTS=$results/$suite "$here/test-$suite.sh" "$build/release" >"$results/$suite.log" 2>&1 &
        processes+=($!)
    done
    wait
    for suite in "${suites[@]}"; do
        say "scripts/test-$suite.sh"
        cat "$results/$suite.log"
        counts="0 1"
        [ ! -f "$results/$suite" ] || counts=$(<"$results/$suite")
        passed=$((passed + ${counts% *}))
        failed=$((failed + ${counts#* }))
    done
fi

printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

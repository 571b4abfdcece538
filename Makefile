# The doors to everything. Each is a script of its own, for machines without make.
.PHONY: demo install test test-converter test-engines test-vllm test-mpi test-faults test-cache test-hosts test-tokenizers test-gguf test-tensorboard fuzz lint format bench bench-preprocess bench-large-records bench-tokenize bench-target bench-plan bench-8b bench-ranks bench-cache bench-train bench-drafts bench-methods bench-decoding bench-scaling bench-memory bench-dtypes bench-recipe bench-regenerate bench-time-to-acceptance bench-packed bench-vllm bench-own-answers bench-families fixtures

demo:     ; @scripts/demo.sh
install:  ; @scripts/install.sh
test:     ; @scripts/test.sh
test-mpi: ; @scripts/test-mpi.sh
test-tensorboard: ; @scripts/test-tensorboard.sh
test-faults: ; @scripts/test-faults.sh
test-cache: ; @scripts/test-cache.sh
test-hosts: ; @scripts/test-hosts.sh
test-tokenizers: ; @scripts/test-tokenizers.sh
test-gguf: ; @scripts/test-gguf.sh
test-converter: ; @scripts/test-converter.sh
test-engines: ; @scripts/test-engines.sh
test-vllm: ; @scripts/test-vllm.sh
fuzz:     ; @scripts/fuzz.sh
lint:     ; @swift format lint --strict -r Sources Tests Package.swift && shellcheck scripts/*.sh Benchmarks/*.sh Examples/Cluster/*.slurm .ci/run
format:   ; @swift format -i -r Sources Tests Package.swift
bench:    ; @Benchmarks/preprocess.sh && Benchmarks/tokenize.sh && Benchmarks/train.sh
bench-preprocess: ; @Benchmarks/preprocess.sh
bench-large-records: ; @Benchmarks/large_records.sh
bench-tokenize: ; @Benchmarks/tokenize.sh
bench-target: ; @Benchmarks/target.sh
bench-plan: ; @Benchmarks/plan.sh
bench-8b: ; @Benchmarks/large_target.sh
bench-packed: ; @Benchmarks/packed.sh
bench-ranks: ; @Benchmarks/ranks.sh
bench-cache: ; @Benchmarks/cache.sh
bench-train: ; @Benchmarks/utilisation.sh
bench-drafts: ; @Benchmarks/drafts.sh
bench-methods: ; @Benchmarks/methods.sh
bench-decoding: ; @Benchmarks/decoding.sh
bench-scaling: ; @Benchmarks/scaling.sh
bench-memory: ; @Benchmarks/memory.sh
bench-dtypes: ; @Benchmarks/dtypes.sh
bench-recipe: ; @Benchmarks/recipe.sh
bench-regenerate: ; @Benchmarks/regenerate.sh
bench-time-to-acceptance: ; @Benchmarks/time_to_acceptance.sh
bench-vllm: ; @Benchmarks/vllm.sh
bench-own-answers: ; @Benchmarks/own_answers.sh
bench-families: ; @Benchmarks/families.sh
fixtures: ; @scripts/fixtures.sh

#!/usr/bin/env bash
# Trains on two hosts, which are network namespaces with addresses and names of their own and TCP between them, and
# cuts the link. Needs root.
#
# usage: scripts/test-hosts.sh [PROGRAMS]    (default: .build/release, which is built first)

set -euo pipefail
# shellcheck disable=SC2034  # setup.sh uses it
more_packages=(iproute2)
# shellcheck source=checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

prefix=eyrie$$
remove_hosts() {
    local namespace
    for namespace in $(ip netns list | grep -o "^$prefix-[a-z0-9]*"); do
        ip netns pids "$namespace" | xargs -r kill -KILL 2>/dev/null || true
        ip netns delete "$namespace"
    done
}
if ! ip netns add "$prefix-switch" 2>/dev/null; then
    echo "left out: several hosts, as only root may make network namespaces"
    exit
fi
trap 'remove_hosts; rm -rf "$scratch"' EXIT

# A bridge in a namespace of its own, and hosts 1 (where mpirun runs), 2 and 3 on it: nothing of the machine's own
# network is touched.
on() { ip netns exec "$prefix-$1" "${@:2}"; }
on switch ip link add bridge type bridge
on switch ip link set bridge up
for host in 1 2 3; do
    ip netns add "$prefix-$host"
    ip -n "$prefix-$host" link add eth0 type veth peer name "host$host" netns "$prefix-switch"
    ip -n "$prefix-$host" address add "10.77.0.$host/24" dev eth0
    on "$host" ip link set lo up
    on "$host" ip link set eth0 up
    on switch ip link set "host$host" master bridge up
done
# What mpirun starts its daemons with, instead of ssh: it gets options, the host and a command.
cat >"$scratch/launch" <<END
#!/usr/bin/env bash
while [[ \$1 == -* ]]; do shift; done
host=\${1##*.}
shift
exec ip netns exec "$prefix-\$host" unshare --uts sh -c "hostname host\$host; \$*"
END
chmod +x "$scratch/launch"

# on_hosts OUTPUT OPTIONS...: trains as two ranks, one on each of two hosts.
on_hosts() {
    local output=$1
    shift
    on 1 env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --host 10.77.0.2,10.77.0.3 -n 2 \
        --bind-to none --mca plm_rsh_agent "$scratch/launch" --mca pml ob1 --mca btl tcp,self \
        --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 --mca odls_base_sigkill_timeout 10 \
        "$programs/Trainer" train "${text[@]}" --train-data-path "$scratch/train.jsonl" --output-dir "$output" \
        --draft-vocab-size 96 --draft-global-batch-size 12 --total-steps 6 --learning-rate 1e-3 --log-steps 1 \
        --num-threads 1 "$@"
}
same() {
    compare metrics "$1/metrics.jsonl" "$2/metrics.jsonl" losses accuracies --tolerance 0
    compare tensors "$1/latest/model.safetensors" "$2/latest/model.safetensors"
}

check "two ranks on one host" train 2 "$scratch/one"
check "two ranks on two hosts" on_hosts "$scratch/two"
check "the same losses and draft, bit by bit" same "$scratch/one" "$scratch/two"
check "two ranks on two hosts that share a target" on_hosts "$scratch/shared" --tp-size 2
check "deterministic, on one host" train 1 "$scratch/alone" --deterministic
check "deterministic, on two hosts" on_hosts "$scratch/together" --deterministic
check "deterministic: the same losses and draft, bit by bit" same "$scratch/alone" "$scratch/together"

# A link that is cut in the midst of a run: both ranks say so within the time-out, which is 6 seconds here.
cut_link() {
    local launcher begin
    on_hosts "$scratch/cut" --total-steps 100000 --num-epochs 100000 --dist-timeout 0.1 >"$scratch/cut.log" 2>&1 &
    launcher=$!
    until [ "$(grep -c . "$scratch/cut/metrics.jsonl" 2>/dev/null)" -gt 2 ] 2>/dev/null; do
        kill -0 "$launcher"
        sleep 0.1
    done
    on switch ip link set host3 down
    begin=$SECONDS
    while rank_writing "$scratch/cut" >"$scratch/left"; do
        [ $((SECONDS - begin)) -le 60 ] || { ps -fp "$(<"$scratch/left")" && return 1; }
        sleep 0.2
    done
    cat "$scratch/cut.log"
    grep -q "rank 0.*has waited for the other ranks for 0.1 minutes (--dist-timeout)" "$scratch/cut.log"
    # What rank 1 says is lost with its link. mpirun still waits for the host that is gone: it ends with the hosts.
    kill -KILL "$launcher" 2>/dev/null || true
}
check "a cut link ends every rank with an error, within the time-out" cut_link

summary hosts

#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs the libFuzzer targets one after the other, each from its committed corpus, and writes one line each into
# out/fuzz/summary.tsv. What is found lies in out/fuzz; new inputs in BUILD/corpus.
# Run: sh tests/fuzz/run.sh build/fuzz [ARGUMENT OF LIBFUZZER]...
# FUZZ_SECONDS  for each target, 60 if not set; FUZZ_RUNS  at most so many runs of each
# FUZZ_TARGETS  which, e.g. "fuzz_npy fuzz_codec_xz"; all if not set
set -eu
build=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../out/fuzz
mkdir -p "$out"
out=$(cd "$out" && pwd)
summary=$out/summary.tsv

# The folder of the corpus, and the longest input: what is longer finds nothing new, and takes longer.
about() {
    case $1 in
    fuzz_npy) echo npy 1024 npy.dict ;;
    fuzz_load) echo load 1024 npy.dict ;;
    fuzz_npz) echo npz 2048 npy.dict ;;
    fuzz_hash) echo hash 160 ;;
    fuzz_named) echo named 272 ;;
    fuzz_cache) echo cache 1024 cache.dict ;;
    fuzz_codec_*) echo "codec/${1#fuzz_codec_}" 768 npy.dict ;;
    *) echo "run.sh: there is no target '$1'" >&2 && exit 2 ;;
    esac
}

value_of() { sed -n "s/^stat::$1: *//p" "$2" | tail -1; }

# What was reached when it ended: the last line with "cov:".
reached() { sed -n "s/.* $1: *\([0-9]*\).*/\1/p" "$2" | tail -1; }

run_target() {
    target=$1
    shift
    details=$(about "$target") # its failure ends the program
    # shellcheck disable=SC2086 # a list of words
    set -- $details -- "$@"
    seeds=$here/$1 most=$2 words=
    [ "$3" = -- ] || words=-dict=$here/$3
    while [ "$1" != -- ]; do shift; done
    shift
    mkdir -p "$build/corpus/$target"
    log=$out/$target.log
    begin=$(date +%s)
    failed=0
    "$build/tests/fuzz/$target" -max_total_time="${FUZZ_SECONDS:-60}" -runs="${FUZZ_RUNS:--1}" -max_len="$most" \
        ${words:+"$words"} -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 -print_final_stats=1 \
        -artifact_prefix="$out/$target-" "$@" "$build/corpus/$target" "$seeds" >"$log" 2>&1 || failed=1
    seconds=$(($(date +%s) - begin))
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$target" "$(value_of number_of_executed_units "$log")" "$seconds" \
        "$(reached cov "$log")" "$(reached ft "$log")" "$failed" | tee -a "$summary"
    [ $failed = 0 ] || tail -40 "$log"
    return $failed
}

targets=${FUZZ_TARGETS:-$(cd "$build/tests/fuzz" && find . -maxdepth 1 -name 'fuzz_*' -type f | sed 's,^./,,' | sort)}
[ -s "$summary" ] || printf 'target\truns\tseconds\tcoverage\tfeatures\tfound\n' >"$summary"
all=0
for target in $targets; do
    run_target "$target" "$@" || all=1
done
exit $all
